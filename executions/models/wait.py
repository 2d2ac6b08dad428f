"""What a suspended firing waits for: a time, a person, an event, a decision, another execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Func, OuterRef, Q, Subquery, TextField

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from executions.engine.waits import WaitKind, WaitStatus
from executions.models.execution import Execution
from executions.presenting import show_path

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

#: What a person answers.
FOR_PEOPLE = (WaitKind.APPROVAL, WaitKind.DECISION)


class Names(Func):
    """The names of those whose ids are in a column."""

    template = 'ARRAY(SELECT "%(column)s" FROM "%(table)s" WHERE id = ANY(%(expressions)s) ORDER BY 1)'
    output_field = ArrayField(TextField())


class WaitQuerySet(models.QuerySet["Wait"]):
    """Waits, and the one way to close one."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> WaitQuerySet:
        """Return the waits in the executions of `user`."""
        return self.filter(owner_id=user.pk) if user.pk is not None else self.none()

    def answerable_by(self, user: AbstractBaseUser | AnonymousUser) -> WaitQuerySet:
        """Return what `user` may answer: where they are named, or own it and nobody is; staff who may change waits, everything."""
        asked = self.filter(kind__in=FOR_PEOPLE)
        if isinstance(user, PermissionsMixin):
            if getattr(user, "is_staff", False) and user.has_perm("executions.change_wait"):
                return asked
            groups = list(user.groups.values_list("pk", flat=True))
            is_named = Q(allowed_users__contains=[user.pk]) | Q(allowed_groups__overlap=groups)
            return asked.filter(is_named | Q(owner_id=user.pk, allowed_users=[], allowed_groups=[]))
        return self.none()

    def with_names(self) -> WaitQuerySet:
        """Add `graph_name`, and `user_names` and `group_names`: those who are named to answer."""
        graph_name = Execution.objects.filter(pk=OuterRef("execution_id")).values("graph__name")
        return self.annotate(
            graph_name=Subquery(graph_name),
            user_names=Names("allowed_users", table="auth_user", column="username"),
            group_names=Names("allowed_groups", table="auth_group", column="name"),
        )

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
    #: What is shown to the person, as the block gave it; of an event, what it must contain.
    data: models.JSONField[Any, Any] = models.JSONField(default=dict, blank=True)
    #: The person may change the data before approving; what they made of it is in the answer.
    is_editable = models.BooleanField(default=False)
    #: Who may answer; nobody named means the owner.
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
            GinIndex(
                fields=["allowed_users", "allowed_groups"],
                condition=Q(status=WaitStatus.OPEN.value),
                name="waits_open_for_named",
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

    @property
    def is_open(self) -> bool:
        """Say whether nothing has come yet."""
        return self.status == WaitStatus.OPEN

    @property
    def shown_path(self) -> str:
        """Return the item path as people count: `#1`, `#2.3`; nothing for the plain path."""
        return show_path(self.item_path)
