"""What goes out to those who subscribed: one signed request for each attempt, and what came of it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from random import random
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from agentplatform.lib import http
from agentplatform.lib.clock import now
from agentplatform.lib.crypto import Sealed
from agentplatform.lib.errors import AppError
from agentplatform.lib.http import Answer, Limits
from agentplatform.lib.lineage import HOPS_HEADER
from agentplatform.lib.masking import Mask
from agentplatform.lib.retry_after import retry_after_of
from blocks.jsonable import jsonable
from executions import own_subscriptions, statements
from executions.engine.outgoing import next_pause
from executions.errors import NotSent
from executions.models import OutgoingStatus
from integrations import signatures
from integrations.masks import mask_for
from integrations.signatures import SignatureScheme

logger = logging.getLogger(__name__)

#: Of what is answered, so much is read; and so much of that is kept.
MAX_ANSWER_BYTES, LONGEST_ANSWER = 64 * 1024, 1_000
MOST_LOGGED = 50
#: Of one subscription, and of all of an owner, so many attempts are under way.
PER_SUBSCRIPTION, PER_OWNER = 10, 40
#: Whoever answers so wants nothing more, ever.
GONE = 410
#: What an attempt takes beside waiting for the other side: to be written down, also while the database is away for a moment.
MARGIN = timedelta(seconds=30)
REFUSED = "RECEIVER_REFUSED"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver, which nobody else makes."""

    id: UUID
    subscription_id: UUID
    owner_id: int
    #: Its number in all, by which what comes of it is told from what comes of others; and since the delivery was last begun anew.
    number: int
    tries: int
    url: str
    secrets: tuple[Sealed, ...]
    body: bytes
    hops: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt."""

    attempt: Attempt
    seconds: float
    answer: Answer | None = None
    error: AppError | None = None

    @property
    def is_delivered(self) -> bool:
        """Say whether it was heard."""
        return self.answer is not None and self.answer.is_success

    @property
    def is_gone(self) -> bool:
        """Say whether the other side wants nothing more."""
        return self.answer is not None and self.answer.status == GONE


def claim(limit: int) -> list[Attempt]:
    """Take what is to be sent now, at most so many. Each is leased for longer than an attempt lasts."""
    lease = timedelta(seconds=settings.AGENTPLATFORM_OUTGOING_TIMEOUT_S) + MARGIN
    with statements.cursor() as cursor:
        statements.run(
            cursor,
            "outgoing_claim",
            limit=limit,
            per_subscription=PER_SUBSCRIPTION,
            per_owner=PER_OWNER,
            lease=lease,
        )
        return [_attempt(*row) for row in cursor]


async def send(attempt: Attempt) -> Outcome:
    """Send it once, and say what came of it. Redirects are not followed: where it leads was not subscribed."""
    begun = time.monotonic()
    limits = Limits(settings.AGENTPLATFORM_OUTGOING_TIMEOUT_S, MAX_ANSWER_BYTES, max_redirects=0)
    answer, error = None, None
    try:
        answer = await http.request("POST", attempt.url, headers=headers_of(attempt), body=attempt.body, limits=limits)
    except AppError as failure:
        error = failure
    except Exception:
        logger.exception("Delivery %s could not be sent", attempt.id)
        error = NotSent()
    return Outcome(attempt, time.monotonic() - begun, answer, error)


def headers_of(attempt: Attempt) -> dict[str, str]:
    """Return what goes along: signed as Standard Webhooks are, with each secret that is good just now.

    Raises:
        KeysMissing, KeyLost: the secret can not be read.
    """
    moment, named = now().timestamp(), str(attempt.id)
    signed = [
        signatures.sign(attempt.body, secret.reveal(), SignatureScheme.STANDARD, at=moment, delivery_id=named)
        for secret in attempt.secrets
    ]
    together = " ".join(one["webhook-signature"] for one in signed)
    return {
        **signed[0],
        "webhook-signature": together,
        "Content-Type": "application/json",
        HOPS_HEADER: str(attempt.hops),
    }


def note(outcomes: list[Outcome]) -> None:
    """Write down what came of attempts, and turn off who wants nothing more or has not listened for as long as is tried."""
    rows = [_row(outcome) for outcome in outcomes]
    ids = sorted({outcome.attempt.subscription_id for outcome in outcomes})
    with transaction.atomic(durable=True), statements.cursor() as cursor:
        statements.run(cursor, "outgoing_lock", ids=ids)
        statements.run(
            cursor,
            "outgoing_note",
            rows=statements.records(rows),
            window=timedelta(seconds=settings.AGENTPLATFORM_OUTGOING_RETRY_S),
            most_logged=MOST_LOGGED,
        )
        noted = cursor.fetchall()
        heard = {id_ for id_, status, *_ in noted if status == OutgoingStatus.DELIVERED}
        statements.run(
            cursor,
            "outgoing_heard",
            rows=statements.records(
                [
                    {"id": id_, "is_heard": id_ in heard, "failed": sum(one[0] == id_ for one in noted)}
                    for id_ in {one[0] for one in noted}
                ]
            ),
        )
        for id_, _, is_gone, nobody_listens in noted:
            if is_gone:
                own_subscriptions.turn_off(id_, own_subscriptions.GONE)
            elif nobody_listens and id_ not in heard:
                own_subscriptions.turn_off(id_, own_subscriptions.NOT_HEARD)


def _attempt(
    id_: UUID,
    subscription_id: UUID,
    owner_id: int,
    number: int,
    tries: int,
    url: str,
    secret: str,
    previous: str | None,
    payload: str,
    hops: int,
) -> Attempt:
    secrets = tuple(Sealed.stored(text) for text in (secret, previous) if text)
    return Attempt(id_, subscription_id, owner_id, number, tries, url, secrets, payload.encode(), hops)


def _row(outcome: Outcome) -> dict[str, Any]:
    attempt, answer, error = outcome.attempt, outcome.answer, outcome.error
    hide = _mask_of(attempt)
    asked_for = retry_after_of(answer.headers) if answer is not None and not answer.is_success else None
    code, message = ("", "") if error is None else (error.code, f"{error.message} {error.hint}".strip())
    if answer is not None and not answer.is_success:
        code, message = REFUSED, f"It answered {answer.status}."
    return {
        "id": attempt.id,
        "attempt": attempt.number,
        "is_delivered": outcome.is_delivered,
        "is_gone": outcome.is_gone,
        "status_code": answer.status if answer is not None else None,
        "error_code": code,
        "error_message": hide.text(message),
        # Masked before it is cut: half a secret is one too.
        "answer": str(jsonable(hide.text(answer.text)))[:LONGEST_ANSWER] if answer is not None else "",
        "pause_s": next_pause(attempt.tries, chance=random(), retry_after_s=asked_for),  # noqa: S311
        "seconds": round(outcome.seconds, 3),
    }


def _mask_of(attempt: Attempt) -> Mask:
    """Return the mask of its owner, which knows the secrets of the subscription too: whoever is sent to may send them back."""
    mask = mask_for(attempt.owner_id).copy()
    try:
        secrets = [str(secret.reveal()) for secret in attempt.secrets]
    except AppError:
        return mask  # what nobody can open was not sent
    mask.learn([*secrets, *(secret.removeprefix(signatures.STANDARD_PREFIX) for secret in secrets)])
    return mask
