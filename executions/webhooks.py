"""What comes to a webhook: verified as it came, then read, then taken once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache
from secrets import token_hex
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import IntegrityError
from pydantic_core import to_json

from agentplatform.lib import crypto
from agentplatform.lib.clock import now
from agentplatform.lib.crypto import Sealed
from agentplatform.lib.ids import uuid7
from agentplatform.lib.masking import Mask
from executions import deliveries, payloads, statements
from executions.deliveries import Receipt
from executions.errors import DeliveryIgnored, SignatureInvalid, WebhookInvalid
from executions.models import Delivery, Execution, Webhook
from executions.models.webhook import NAMED
from executions.payloads import Received
from integrations import samples, signatures
from integrations.masks import mask_for
from integrations.signatures import SCHEMES, SignatureScheme


class WebhookHandler:
    """What the address of a webhook does, in two steps, for code that has a door of its own."""

    async def verify_signature(
        self, webhook_id: UUID | str, signature: str | None, body: bytes, *, headers: Mapping[str, str] | None = None
    ) -> bool:
        """Say whether a body was signed for this webhook; `headers` are needed where more than the body is signed."""
        given = {name.lower(): value for name, value in (headers or {}).items()}
        return await sync_to_async(_is_signed)(UUID(str(webhook_id)), signature, body, given)

    async def trigger_graph(
        self, webhook_id: UUID | str, payload: Any, *, delivery_id: str = "", headers: Mapping[str, str] | None = None
    ) -> Execution:
        """Start the graph of a webhook with a payload that was verified. The same delivery again is the same execution.

        Raises:
            Webhook.DoesNotExist: there is none of that id.
            DeliveryIgnored: the webhook is turned off, or does not want such events.
            DeliveryIdTaken: another payload came under this id before.
            AppError: the graph can not be started with it.
        """
        given = {name.lower(): value for name, value in (headers or {}).items()}
        return await sync_to_async(_trigger)(UUID(str(webhook_id)), payload, delivery_id, given)


def receive(webhook_id: UUID, headers: Mapping[str, str], body: bytes) -> Receipt:
    """Take what came to the address of a webhook; `headers` by names in lower case.

    Raises:
        SignatureInvalid: it is not signed as the webhook asks, or there is no such webhook: nobody can tell.
        PayloadInvalid: it is neither JSON nor a form.
        DeliveryIdTaken: something else came under this id before.
    """
    webhook, version_id = _find(webhook_id)
    if not _is_good(webhook, headers, body):
        raise SignatureInvalid
    assert webhook is not None
    received = payloads.read(body, headers, SCHEMES[SignatureScheme(webhook.scheme)])
    try:
        return _take(webhook, received, version_id)
    except IntegrityError:
        if Webhook.objects.filter(pk=webhook_id).exists():
            raise
        # It was removed meanwhile.
        raise SignatureInvalid from None


def send_sample(webhook: Webhook, *, sample: str = "", payload: Any = None, event: str = "") -> Delivery:
    """Deliver a sample, or a payload, as its sender would: signed, verified and taken. Return what became of it.

    Raises:
        WebhookInvalid: there is no such sample.
        PayloadInvalid: the payload can not be stored.
    """
    if sample:
        found = samples.find(webhook.scheme, sample)
        if found is None:
            raise WebhookInvalid(f"There is no sample {sample[:80]!r}.", path="sample", hint="List the samples first.")
        payload, event = found.payload, event or found.event
    scheme, body = SCHEMES[SignatureScheme(webhook.scheme)], to_json(payload)
    secret: str = webhook.secret.reveal()
    headers = signatures.sign(body, secret, webhook.scheme, at=now().timestamp(), delivery_id=f"sample-{uuid7()}")
    if scheme.event_header and event:
        headers[scheme.event_header] = event
    given = {name.lower(): value for name, value in headers.items()}
    return receive(webhook.pk, given | {"content-type": "application/json"}, body).delivery


def _take(webhook: Webhook, received: Received, version_id: UUID | None) -> Receipt:
    own = _mask_of(tuple(webhook.secrets_at(now())))
    payload = mask_for(webhook.owner_id).value(own.value(received.payload))
    return deliveries.take(webhook, replace(received, payload=payload), version_id=version_id)


def _find(webhook_id: UUID) -> tuple[Webhook | None, UUID | None]:
    """Return a webhook, and the version that it starts; of its owner, whether they may log in."""
    with statements.cursor() as cursor:
        statements.run(cursor, "find_webhook", id=webhook_id)
        row = cursor.fetchone()
    if row is None:
        return None, None
    (
        id_,
        graph_id,
        owner_id,
        scheme,
        secret,
        previous,
        previous_until,
        events,
        mapping,
        event_name,
        is_enabled,
        is_owner_active,
        version_id,
    ) = row
    webhook = Webhook(
        id=id_,
        graph_id=graph_id,
        owner=get_user_model()(pk=owner_id, is_active=is_owner_active),
        scheme=scheme,
        previous_until=previous_until,
        events=events,
        mapping=json.loads(mapping),
        event_name=event_name,
        is_enabled=is_enabled,
    )
    webhook.secret = Sealed(crypto.decrypt(secret))
    webhook.previous_secret = None if previous is None else Sealed(crypto.decrypt(previous))
    return webhook, version_id


def _is_good(webhook: Webhook | None, headers: Mapping[str, str], body: bytes) -> bool:
    """Say whether a request is signed as it must be. One for a webhook that is not there takes as long to be refused."""
    moment = now()
    known = webhook or _decoy()
    is_signed = signatures.verify(body, headers, known.secrets_at(moment), known.scheme, at=moment.timestamp())
    return is_signed and webhook is not None


def _is_signed(webhook_id: UUID, signature: str | None, body: bytes, headers: Mapping[str, str]) -> bool:
    webhook, _ = _find(webhook_id)
    header = SCHEMES[SignatureScheme(webhook.scheme if webhook else SignatureScheme.GENERIC)].header
    return _is_good(webhook, {**headers, header: signature or ""}, body)


def _trigger(webhook_id: UUID, payload: Any, delivery_id: str, headers: Mapping[str, str]) -> Execution:
    webhook, version_id = _find(webhook_id)
    if webhook is None:
        raise Webhook.DoesNotExist
    body = json.dumps(payload).encode()
    receipt = _take(webhook, _as_received(webhook, payload, body, delivery_id, headers), version_id)
    if receipt.error:
        raise receipt.error
    if receipt.delivery.execution_id is None:
        raise DeliveryIgnored(f"This delivery starts nothing: {receipt.delivery.reason or receipt.delivery.status}.")
    return receipt.execution or Execution.objects.get(pk=receipt.delivery.execution_id)


def _as_received(webhook: Webhook, payload: Any, body: bytes, delivery_id: str, headers: Mapping[str, str]) -> Received:
    scheme = SCHEMES[SignatureScheme(webhook.scheme)]
    read = payloads.read(body, {**headers, "content-type": "application/json"}, scheme)
    key = NAMED + delivery_id if delivery_id else f"call:{uuid7()}"
    return Received(read.payload, read.headers, read.event, key, True, read.digest, read.size_bytes)


def _decoy() -> Webhook:
    """Return a webhook that nobody has the secret of."""
    decoy = Webhook(scheme=SignatureScheme.GENERIC)
    decoy.secret = Sealed(crypto.decrypt(_sealed_decoy()))
    return decoy


@cache
def _sealed_decoy() -> str:
    return crypto.encrypt(token_hex(32))


@lru_cache(maxsize=512)
def _mask_of(secrets: tuple[str, ...]) -> Mask:
    return Mask(secrets)
