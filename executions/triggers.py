"""What started an execution: a schedule, or a webhook."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from executions.models import Delivery, Fire


class TriggerKind(StrEnum):
    """What can start an execution by itself."""

    SCHEDULE = "schedule"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Started:
    """What started an execution: the trigger, and the fire or delivery of it."""

    kind: TriggerKind
    id: UUID
    name: str
    #: The row that says so: a time of the schedule, or a delivery.
    of: UUID
    at: datetime


def started_by(execution_id: UUID) -> Started | None:
    """Return what started an execution; None if somebody asked for it, or it is not known any longer."""
    fire = (
        Fire.objects.filter(execution_id=execution_id)
        .select_related("schedule")
        .only("fire_at", "schedule__name")
        .first()
    )
    if fire is not None:
        return Started(TriggerKind.SCHEDULE, fire.schedule_id, fire.schedule.name, fire.pk, fire.fire_at)
    delivered = Delivery.objects.filter(execution_id=execution_id).select_related("webhook")
    delivery = delivered.only("received_at", "webhook__name").first()
    if delivery is not None:
        return Started(
            TriggerKind.WEBHOOK, delivery.webhook_id, delivery.webhook.name, delivery.pk, delivery.received_at
        )
    return None
