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
from agentplatform.lib.one_graph import only_graph_of
from executions.engine.status import FINAL, FROM_HERE, Status, sources_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class ExecutionQuerySet(models.QuerySet["Execution"]):
    """Executions, and the one way to change their status."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> ExecutionQuerySet:
        """Return the executions of `user`; nobody who is not logged in has any."""
        mine = self.filter(owner_id=user.pk) if user.pk is not None else self.none()
        only = only_graph_of(user)
        return mine.filter(graph_id=only) if only else mine

    def unfinished(self) -> ExecutionQuerySet:
        """Return the executions whose status can still change."""
        return self.exclude(status__in=FINAL)

    def in_line(self) -> ExecutionQuerySet:
        """Return the executions that wait to be admitted."""
        return self.filter(status=Status.QUEUED, launched_at__isnull=True, parent_id__isnull=True, is_paused=False)

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
    #: Higher goes first among those of one owner that wait to be admitted.
    priority = models.SmallIntegerField(default=0)
    #: The firing that started it as a sub-graph, and the outermost execution it belongs to; no constraints, as months are dropped.
    parent_id = models.UUIDField(null=True, blank=True, editable=False)
    parent_node = models.CharField(max_length=64, blank=True, default="", editable=False)
    parent_path = ArrayField(models.IntegerField(), default=list, editable=False)
    call_key = models.CharField(max_length=200, blank=True, default="", editable=False)
    root_id = models.UUIDField(null=True, blank=True, editable=False)
    depth = models.PositiveSmallIntegerField(default=0, editable=False)
    #: The id of the API key that has started it, if one has: budgets go by it.
    api_key = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    #: The ended execution that this one goes on from.
    retried_from_id = models.UUIDField(null=True, blank=True, editable=False)
    inputs: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    outputs: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    #: Segments of the plan that have ended; what `compile` leaves out.
    segments_done = ArrayField(models.SmallIntegerField(), default=list)
    #: The cut of the plan by which those are numbered.
    plan_mark = models.CharField(max_length=16, blank=True, default="", editable=False)
    #: A node has failed for good: what has not started is not started.
    is_stopping = models.BooleanField(default=False)
    #: A person has asked to begin nothing more for now.
    is_paused = models.BooleanField(default=False)
    error_code = models.CharField(max_length=64, blank=True, default="")
    error_message = models.TextField(blank=True, default="")
    error_hint = models.TextField(blank=True, default="")
    error_node = models.CharField(max_length=64, blank=True, default="")
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cost_microcredits = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=now, editable=False)
    #: When it was last sent to the broker, and how often: the row is the outbox. Never, while it waits to be admitted.
    launched_at = models.DateTimeField(null=True, blank=True)
    launches = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    #: When it last began to run, at first or after a wait: its time limit counts from here.
    resumed_at = models.DateTimeField(null=True, blank=True)
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
                condition=Q(
                    status__in=[Status.QUEUED.value, Status.RUNNING.value, Status.CANCELLING.value],
                    launched_at__isnull=False,
                ),
                name="executions_in_flight",
            ),
            models.Index(
                fields=["owner", "graph", "-priority", "id"],
                condition=Q(
                    status=Status.QUEUED.value, launched_at__isnull=True, parent_id__isnull=True, is_paused=False
                ),
                name="executions_to_admit",
            ),
            models.Index(
                fields=["owner", "graph"],
                condition=Q(
                    status__in=[Status.QUEUED.value, Status.RUNNING.value, Status.CANCELLING.value],
                    launched_at__isnull=False,
                    parent_id__isnull=True,
                ),
                name="executions_admitted",
            ),
            models.Index(fields=["parent_id"], condition=Q(parent_id__isnull=False), name="executions_of_parent"),
            models.Index(fields=["root_id"], condition=Q(root_id__isnull=False), name="executions_of_root"),
            models.Index(
                fields=["retried_from_id"], condition=Q(retried_from_id__isnull=False), name="executions_retried_from"
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
