"""A delivery is written down once, in one transaction with the execution that it starts: what is accepted is kept, nothing starts twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from pydantic_core import to_json

from agentplatform.lib.clock import now
from agentplatform.lib.errors import AppError
from agentplatform.lib.ids import uuid7
from executions import payloads, services, statements, waits
from executions.errors import DeliveryIdTaken, NestedTooDeep, OwnerInactive
from executions.inputs import declared_inputs
from executions.models import Delivery, DeliveryStatus, Execution, Webhook
from executions.payloads import Received
from executions.plans import plan_of
from graphs import services as graph_services
from graphs.errors import GraphArchived
from integrations.signatures import SCHEMES, TOLERANCE_S, SignatureScheme

#: What has neither a name nor a signed time may come again after so long.
UNNAMED_FOR = timedelta(seconds=TOLERANCE_S)
DISABLED, NOT_SELECTED, GREETING = "WEBHOOK_DISABLED", "EVENT_NOT_SELECTED", "GREETING"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery; `is_duplicate` if that was decided when it came before."""

    delivery: Delivery
    is_duplicate: bool = False
    #: It was refused: why, for whoever sent it.
    error: AppError | None = None
    #: What was started just now.
    execution: Execution | None = None


def take(webhook: Webhook, received: Received, *, version_id: UUID | None) -> Receipt:
    """Take a delivery whose signature was good: start the version, or write down why not.

    Raises:
        DeliveryIdTaken: something else came under this id before.
    """
    while True:
        receipt = _take_first(webhook, received, version_id)
        if receipt is None:
            receipt = _take_again(webhook, received, version_id)
        if receipt is not None:
            return receipt


def _take_first(webhook: Webhook, received: Received, version_id: UUID | None) -> Receipt | None:
    """Take it if it has not come before."""
    delivery = Delivery(
        webhook=webhook,
        key=received.key,
        is_named=received.is_named,
        digest=received.digest,
        event=received.event,
        payload=received.payload,
        headers=dict(received.headers),
        size_bytes=received.size_bytes,
        hops=received.hops,
    )
    if reason := _reason_to_ignore(webhook, received):
        delivery.status, delivery.reason = DeliveryStatus.IGNORED, reason
        return Receipt(delivery) if _write(delivery) else None
    delivery.status, delivery.execution_id = DeliveryStatus.ACCEPTED, uuid7()
    try:
        with transaction.atomic(durable=True):
            if not _write(delivery):
                return None
            execution = _carry_out(delivery, received, version_id)
    except AppError as error:
        _refuse(delivery, error)
        return Receipt(delivery, error=error) if _write(delivery) else None
    return Receipt(delivery, execution=execution)


def _take_again(webhook: Webhook, received: Received, version_id: UUID | None) -> Receipt | None:
    """Answer with what became of it when it came before. None if it is to be taken as a new one after all."""
    earlier = Delivery.objects.defer("payload").filter(webhook_id=webhook.pk, key=received.key).first()
    if earlier is None:
        return None
    if not earlier.is_named and _is_over(earlier):
        # Whoever comes second finds another key, and nothing to change.
        Delivery.objects.filter(pk=earlier.pk, key=earlier.key).update(key=f"{earlier.key}:{earlier.pk}")
        return None
    if earlier.digest != received.digest and SCHEMES[SignatureScheme(webhook.scheme)].repeats_alike:
        raise DeliveryIdTaken
    if earlier.status == DeliveryStatus.REFUSED:
        return _try_again(webhook, received, earlier, version_id)
    return Receipt(earlier, is_duplicate=True)


def _try_again(webhook: Webhook, received: Received, earlier: Delivery, version_id: UUID | None) -> Receipt | None:
    """Start what was refused before: its sender tries again, and the webhook or its graph may be another by now."""
    delivery = Delivery(pk=earlier.pk, webhook=webhook, status=DeliveryStatus.ACCEPTED, execution_id=uuid7())
    try:
        with transaction.atomic(durable=True):
            refused = Delivery.objects.filter(pk=earlier.pk, status=DeliveryStatus.REFUSED)
            if not refused.update(status=delivery.status, execution_id=delivery.execution_id, reason="", message=""):
                return None
            execution = _carry_out(delivery, received, version_id)
    except AppError as error:
        _refuse(earlier, error)
        Delivery.objects.filter(pk=earlier.pk, status=DeliveryStatus.REFUSED).update(
            reason=error.code, message=error.message
        )
        return Receipt(earlier, error=error)
    return Receipt(delivery, execution=execution)


def _carry_out(delivery: Delivery, received: Received, version_id: UUID | None) -> Execution | None:
    """Give a delivery that was written down to those who wait for it; start the graph if nobody does.

    Raises:
        OwnerInactive: its owner may not log in.
        AppError: the graph can not be started with it.
    """
    webhook = delivery.webhook
    if not webhook.owner.is_active:
        raise OwnerInactive
    if webhook.event_name and waits.tell(owner_id=webhook.owner_id, name=webhook.event_name, payload=received.payload):
        delivery.status, delivery.execution_id = DeliveryStatus.ANSWERED, None
        Delivery.objects.filter(pk=delivery.pk).update(status=delivery.status, execution_id=None)
        return None
    return _start(webhook, received, delivery.execution_id, version_id)


def replay(delivery: Delivery) -> Receipt:
    """Start once more what a delivery brought, as the webhook is now: a new delivery, linked to that one, with an execution of its own.

    It is started also where the webhook is turned off, or ignores such events.
    """
    webhook = delivery.webhook
    received = Received(
        payload=delivery.payload,
        headers=delivery.headers,
        event=delivery.event,
        key=f"replay:{uuid7()}",
        is_named=True,
        digest=delivery.digest,
        size_bytes=delivery.size_bytes,
        hops=delivery.hops,
    )
    again = Delivery(
        webhook=webhook,
        key=received.key,
        digest=received.digest,
        event=received.event,
        status=DeliveryStatus.ACCEPTED,
        execution_id=uuid7(),
        replay_of=delivery,
        payload=delivery.payload,
        headers=delivery.headers,
        size_bytes=delivery.size_bytes,
        hops=delivery.hops,
    )
    with transaction.atomic(durable=True):
        _write(again)
        execution = _start(webhook, received, again.execution_id, None)
    return Receipt(again, execution=execution)


def challenge_of(delivery: Delivery) -> str:
    """Return what a sender wants to hear back who asks whether somebody listens; nothing where he does not ask."""
    if delivery.reason != GREETING or not isinstance(delivery.payload, dict):
        return ""
    challenge = delivery.payload.get("challenge")
    return challenge if isinstance(challenge, str) else ""


def _start(webhook: Webhook, received: Received, execution_id: UUID | None, version_id: UUID | None) -> Execution:
    if received.hops >= settings.AGENTPLATFORM_MAX_DEPTH:
        raise NestedTooDeep(
            f"{received.hops} deliveries led to this one.", hint="Does a graph send to its own webhook?"
        )
    if version_id is None:
        if webhook.graph.is_archived:
            raise GraphArchived
        version_id = graph_services.latest_version(webhook.graph).pk
    declared = declared_inputs(plan_of(version_id))
    return services.start(
        version_id=version_id,
        owner_id=webhook.owner_id,
        inputs=payloads.inputs_of(received, webhook.mapping, declared),
        execution_id=execution_id,
        is_alone=True,
    )


def _reason_to_ignore(webhook: Webhook, received: Received) -> str:
    if not webhook.is_enabled:
        return DISABLED
    if received.event and received.event == SCHEMES[SignatureScheme(webhook.scheme)].greeting:
        return GREETING
    return "" if payloads.is_selected(received.event, webhook.events) else NOT_SELECTED


def _refuse(delivery: Delivery, error: AppError) -> None:
    delivery.status, delivery.execution_id = DeliveryStatus.REFUSED, None
    delivery.reason, delivery.message = error.code, error.message


def _is_over(delivery: Delivery) -> bool:
    return delivery.key.endswith(":") and now() - delivery.received_at > UNNAMED_FOR


def _write(delivery: Delivery) -> bool:
    """Write it down. Return False if it came before."""
    with statements.cursor() as cursor:
        statements.run(
            cursor,
            "deliver",
            id=delivery.pk,
            webhook_id=delivery.webhook_id,
            key=delivery.key,
            is_named=delivery.is_named,
            digest=delivery.digest,
            event=delivery.event,
            status=delivery.status,
            reason=delivery.reason,
            message=delivery.message,
            execution_id=delivery.execution_id,
            replay_of_id=delivery.replay_of_id,
            payload=to_json(delivery.payload).decode(),
            headers=to_json(delivery.headers).decode(),
            size_bytes=delivery.size_bytes,
            hops=delivery.hops,
            received_at=delivery.received_at,
        )
        return cursor.fetchone() is not None
