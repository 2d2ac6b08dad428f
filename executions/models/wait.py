"""What a suspended firing waits for: a time, a person, an event, a decision, another execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from executions.engine.waits import WaitKind, WaitStatus

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class WaitQuerySet(models.QuerySet["Wait"]):
    """Waits, and the one way to close one."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> WaitQuerySet:
        """Return the waits in the executions of `user`."""
        return self.filter(owner_id=user.pk) if user.pk is not None else self.none()

    def open(self) -> WaitQuerySet:
        """Return those that still wait."""
        return self.filter(status=WaitStatus.OPEN)

    def close(self, to: WaitStatus, **fields: Any) -> int:
        """Close the matching rows that are still open; whoever comes second changes nothing."""
        return self.open().update(status=to, **fields)


class Wait(models.Model):
    """One wait of one firing, from its beginning to its answer. Never deleted with the answer: it is the record of who decided what."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    execution_id = models.UUIDField(editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="waits")
    node_key = models.CharField(max_length=64)
    item_path = ArrayField(models.IntegerField(), default=list)
    #: Which wait of its firing this is: a block that waits twice finds both answers.
    call_key = models.CharField(max_length=64)
    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in WaitKind])
    status = models.CharField(max_length=16, choices=[(s.value, s.value) for s in WaitStatus], default=WaitStatus.OPEN)
    title = models.CharField(max_length=200, blank=True, default="")
    #: The JSON schema of the answer.
    form: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    #: What is shown to the person, and may be edited by them before they approve.
    data: models.JSONField[Any, Any] = models.JSONField(default=dict, blank=True)
    #: Who may answer beside the owner; nobody named means the owner alone.
    allowed_users = ArrayField(models.IntegerField(), default=list, blank=True)
    allowed_groups = ArrayField(models.IntegerField(), default=list, blank=True)
    #: What happens at `due_at` if nobody has answered.
    timeout_action = models.CharField(max_length=16, blank=True, default="")
    due_at = models.DateTimeField(null=True, blank=True)
    event = models.CharField(max_length=200, blank=True, default="")
    child_id = models.UUIDField(null=True, blank=True, editable=False)
    answer: models.JSONField[Any, Any] = models.JSONField(null=True, blank=True)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="answers"
    )
    answered_at = models.DateTimeField(null=True, blank=True)
    comment = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=now, editable=False)

    objects = WaitQuerySet.as_manager()

    class Meta:
        db_table = "executions_wait"
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status=WaitStatus.OPEN.value), name="waits_due"),
            models.Index(
                fields=["owner", "-id"], condition=Q(status=WaitStatus.OPEN.value), name="waits_open_of_owner"
            ),
            models.Index(
                fields=["child_id"],
                condition=Q(child_id__isnull=False, status=WaitStatus.OPEN.value),
                name="waits_for_child",
            ),
            models.Index(
                fields=["owner", "event"],
                condition=Q(kind=WaitKind.EVENT.value, status=WaitStatus.OPEN.value),
                name="waits_for_event",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["execution_id", "node_key", "item_path", "call_key"], name="a_firing_waits_once_for_each_call"
            ),
            models.CheckConstraint(condition=Q(kind__in=[k.value for k in WaitKind]), name="a_wait_has_a_known_kind"),
            models.CheckConstraint(
                condition=Q(status__in=[s.value for s in WaitStatus]), name="a_wait_has_a_known_status"
            ),
            models.CheckConstraint(
                condition=Q(status=WaitStatus.OPEN.value) | Q(answered_at__isnull=False),
                name="a_closed_wait_has_its_time",
            ),
        ]

    def __str__(self) -> str:
        return self.title or f"{self.kind} of {self.node_key}"
