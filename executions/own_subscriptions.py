"""What the doors may ask of subscriptions: make, change, give another secret, try, send once more, remove."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from agentplatform.lib import http
from agentplatform.lib.clock import now
from agentplatform.lib.crypto import Sealed
from agentplatform.lib.errors import AppError
from agentplatform.lib.ids import uuid7
from executions.engine.outgoing import KINDS, PING, OutgoingEvent, is_known
from executions.errors import SubscriptionDisabled, SubscriptionInvalid
from executions.models import OutgoingDelivery, OutgoingStatus, Subscription
from executions.models.subscription import MAX_URL
from executions.own_webhooks import OVERLAP
from graphs.models import Graph
from integrations import signatures
from integrations.signatures import SignatureScheme

MAX_NAME = 200
#: Why one is off: somebody wants it so; the other side wants nothing more; it has not listened for as long as is tried.
BY_HAND, GONE, NOT_HEARD = "TURNED_OFF", "RECEIVER_GONE", "NOT_HEARD"
#: Of what goes with a subscription, so much is removed in one transaction.
AT_ONCE = 5_000


def create(
    *,
    owner_id: int,
    name: str,
    url: str,
    events: Sequence[str] = (),
    graph: Graph | None = None,
    is_enabled: bool = True,
) -> tuple[Subscription, str]:
    """Make a subscription. Return it with its secret, which nobody can ask for again.

    Raises:
        SubscriptionInvalid: a part of it is not what it should be; `path` says which. Or its owner has too many.
        UrlForbidden: nothing may be sent there.
        KeysMissing: nothing can be kept secret here.
    """
    subscription = Subscription(owner_id=owner_id, graph=graph, name=name, url=url, events=list(events))
    subscription.is_enabled, subscription.disabled_reason = is_enabled, "" if is_enabled else BY_HAND
    _check(subscription)
    if Subscription.objects.filter(owner_id=owner_id).count() >= settings.AGENTPLATFORM_MAX_SUBSCRIPTIONS:
        raise SubscriptionInvalid(
            f"Nobody has more than {settings.AGENTPLATFORM_MAX_SUBSCRIPTIONS} of them.",
            hint="Remove one that is not needed any more, or let one hear of several events.",
        )
    secret = _sealed_in(subscription)
    subscription.save(force_insert=True)
    return subscription, secret


def update(subscription: Subscription, *, is_enabled: bool | None = None, **fields: Any) -> Subscription:
    """Change its name, its address, what it is told, of which graph; turn it off or on.

    Turned on, it hears of what happens from then on. Turned off, it is not sent what it has not got; that can be sent once more later.

    Raises:
        SubscriptionInvalid, UrlForbidden: as for a new one.
    """
    for name, value in fields.items():
        setattr(subscription, name, value)
    _check(subscription)
    with transaction.atomic():
        if fields:
            subscription.save(update_fields=list(fields))
        if is_enabled is True:
            turned_off = Subscription.objects.filter(pk=subscription.pk, is_enabled=False)
            turned_off.update(is_enabled=True, disabled_reason="", disabled_at=None, failures=0)
        elif is_enabled is False:
            turn_off(subscription.pk, BY_HAND)
    return Subscription.objects.select_related("graph").get(pk=subscription.pk)


def turn_off(subscription_id: UUID, reason: str) -> None:
    """Turn a subscription off, within a transaction, and give up what it has not got. One that is off already stays as it is."""
    on = Subscription.objects.select_for_update().filter(pk=subscription_id, is_enabled=True)
    # Locked first: what is written for it at this moment is waited for, and then seen.
    if not on.values_list("pk").first():
        return
    on.update(is_enabled=False, disabled_reason=reason, disabled_at=Now())
    OutgoingDelivery.objects.filter(subscription_id=subscription_id, status=OutgoingStatus.PENDING).update(
        status=OutgoingStatus.FAILED,
        next_at=None,
        leased_until=None,
        ended_at=Now(),
        error_code=SubscriptionDisabled.code,
        error_message="The subscription was turned off before it was heard.",
    )


def rotate(subscription: Subscription, *, overlap: timedelta = OVERLAP) -> str:
    """Give a subscription another secret, and return it; until the overlap is over, what is sent is signed with the one before too.

    Raises:
        KeysMissing: nothing can be kept secret here.
    """
    before = subscription.secret
    secret = _sealed_in(subscription)
    subscription.previous_secret, subscription.previous_until = (before, now() + overlap) if overlap else (None, None)
    subscription.save(update_fields=["secret", "last4", "changed_at", "previous_secret", "previous_until"])
    return secret


def ping(subscription: Subscription) -> OutgoingDelivery:
    """Send a test, as any other event is sent.

    Raises:
        SubscriptionDisabled: it is off.
    """
    if not subscription.is_enabled:
        raise SubscriptionDisabled
    id_, moment = uuid7(), now()
    told = {"subscription": str(subscription.pk), "name": subscription.name}
    return OutgoingDelivery.objects.create(
        id=id_,
        subscription=subscription,
        event=PING,
        subject_id=id_,
        payload={"type": PING, "timestamp": moment.isoformat(), "data": told},
        next_at=moment,
    )


def resend(delivery: OutgoingDelivery) -> OutgoingDelivery:
    """Send a delivery once more, under the same id, whatever became of it; one that is still tried is tried at once.

    Raises:
        SubscriptionDisabled: its subscription is off.
    """
    _again(delivery.subscription, Q(pk=delivery.pk))
    return OutgoingDelivery.objects.select_related("subscription").get(pk=delivery.pk)


def resend_failed(subscription: Subscription, *, since: datetime) -> int:
    """Send once more what has failed since a moment. Return how many.

    Raises:
        SubscriptionDisabled: it is off.
    """
    return _again(subscription, Q(status=OutgoingStatus.FAILED, ended_at__gte=since))


def delete(subscription: Subscription) -> None:
    """Remove a subscription and all that it was told."""
    with transaction.atomic():
        turn_off(subscription.pk, BY_HAND)
    # From here on nothing is written for it: so whoever ends an execution need not wait until all is removed.
    told = OutgoingDelivery.objects.filter(subscription_id=subscription.pk)
    while told.filter(pk__in=list(told.values_list("pk", flat=True)[:AT_ONCE])).delete()[0]:
        pass
    subscription.delete()


def _again(subscription: Subscription, which: Q) -> int:
    with transaction.atomic():
        on = Subscription.objects.select_for_update(no_key=True).filter(pk=subscription.pk, is_enabled=True)
        if not on.values_list("pk").first():
            raise SubscriptionDisabled
        return OutgoingDelivery.objects.filter(which, subscription_id=subscription.pk).update(
            status=OutgoingStatus.PENDING, next_at=Now(), begun_at=Now(), tries=0, ended_at=None
        )


def _sealed_in(subscription: Subscription) -> str:
    secret = signatures.new_secret(SignatureScheme.STANDARD)
    subscription.secret, subscription.last4, subscription.changed_at = Sealed(secret), secret[-4:], now()
    return secret


def _check(subscription: Subscription) -> None:
    if not 0 < len(subscription.name) <= MAX_NAME:
        raise SubscriptionInvalid(f"A name has from 1 to {MAX_NAME} characters.", path="name")
    for number, event in enumerate(subscription.events):
        if not is_known(event):
            known = ", ".join([*KINDS, *OutgoingEvent])
            raise SubscriptionInvalid(f"There is no event {event[:80]!r}. There are: {known}.", path=f"events.{number}")
    subscription.events = list(dict.fromkeys(subscription.events))
    graph = subscription.graph
    if graph is not None and graph.owner_id != subscription.owner_id:
        raise SubscriptionInvalid("This is not a graph of its owner.", path="graph")
    _check_url(subscription.url)


def _check_url(url: str) -> None:
    if not 0 < len(url) <= MAX_URL or not url.isprintable():
        raise SubscriptionInvalid(f"An address has from 1 to {MAX_URL} characters.", path="url")
    try:
        http.check_url(url)
    except AppError as error:
        raise type(error)(error.message, hint=error.hint, path="url") from None
    parts = urlsplit(url)
    if parts.scheme != "https" and not _is_allowed_inside(parts.hostname or "", parts.port):
        raise SubscriptionInvalid("What executions give is sent over https only.", path="url")


def _is_allowed_inside(host: str, port: int | None) -> bool:
    return (host, port or 80) in http.allowed()
