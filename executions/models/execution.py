"""One execution of one published version of a graph."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from executions.engine.status import FINAL, FROM_HERE, Status, sources_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class ExecutionQuerySet(models.QuerySet["Execution"]):
    """Executions, and the one way to change their status."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> ExecutionQuerySet:
        """Return the executions of `user`; nobody who is not logged in has any."""
        return self.filter(owner_id=user.pk) if user.pk is not None else self.none()

    def unfinished(self) -> ExecutionQuerySet:
        """Return the executions whose status can still change."""
        return self.exclude(status__in=FINAL)

    def move(self, to: Status, **fields: Any) -> int:
        """Move the matching rows to `to` where the life cycle allows it; whoever comes second changes nothing."""
        return self.filter(status__in=sources_of(to, FROM_HERE)).update(status=to, **fields)


class Execution(models.Model):
    """A run of a graph version: what it was given, how far it is, what came out and what it cost.

    Partitioned by month on `id`, which is also its time of birth.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    graph = models.ForeignKey("graphs.Graph", on_delete=models.PROTECT, related_name="executions", db_index=False)
    version = models.ForeignKey(
        "graphs.GraphVersion", on_delete=models.PROTECT, related_name="executions", db_index=False
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="executions", db_index=False
    )
    status = models.CharField(max_length=16, choices=[(s.value, s.value) for s in Status], default=Status.QUEUED.value)
    inputs: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    outputs: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    #: Segments of the plan that have ended; what `compile` leaves out.
    segments_done = ArrayField(models.SmallIntegerField(), default=list)
    #: A node has failed for good: what has not started is not started.
    is_stopping = models.BooleanField(default=False)
    error_code = models.CharField(max_length=64, blank=True, default="")
    error_message = models.TextField(blank=True, default="")
    error_hint = models.TextField(blank=True, default="")
    error_node = models.CharField(max_length=64, blank=True, default="")
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cost_microcredits = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=now, editable=False)
    #: When it was last sent to the broker, and how often: the row is the outbox.
    launched_at = models.DateTimeField(null=True, blank=True)
    launches = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = ExecutionQuerySet.as_manager()

    class Meta:
        db_table = "executions_execution"
        indexes = [
            models.Index(fields=["owner", "-id"], name="executions_newest_of_owner"),
            models.Index(fields=["owner", "status", "-id"], name="executions_of_owner_by_status"),
            models.Index(fields=["graph", "-id"], name="executions_newest_of_graph"),
            models.Index(
                fields=["launched_at"],
                condition=Q(status__in=[Status.QUEUED.value, Status.RUNNING.value]),
                name="executions_in_flight",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=[s.value for s in Status]), name="an_execution_has_a_known_status"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=sorted(s.value for s in FINAL)) | Q(ended_at__isnull=False),
                name="a_final_execution_has_ended",
            ),
            models.CheckConstraint(condition=Q(cost_microcredits__gte=0), name="an_execution_costs_nothing_or_more"),
        ]

    def __str__(self) -> str:
        return f"{self.graph} {str(self.id)[:8]}"

    @property
    def is_final(self) -> bool:
        """Say whether nothing about it can change any more."""
        return self.status in FINAL

    @property
    def duration(self) -> timedelta | None:
        """Return how long it ran, from its first node to its end."""
        return self.ended_at - self.started_at if self.ended_at and self.started_at else None
