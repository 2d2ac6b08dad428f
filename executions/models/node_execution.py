"""One firing of one node."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, F, OuterRef, Q, Subquery, When

from agentplatform.lib.ids import uuid7
from executions.engine.status import NODE_FINAL, NODE_FROM_HERE, NodeStatus, sources_of
from executions.models.execution import Execution
from executions.presenting import show_path


class NodeExecutionQuerySet(models.QuerySet["NodeExecution"]):
    """Node executions, and the one way to change their status outside the hot statements."""

    def move(self, to: NodeStatus, **fields: Any) -> int:
        """Move the matching rows to `to` where the life cycle allows it; whoever comes second changes nothing."""
        return self.filter(status__in=sources_of(to, NODE_FROM_HERE)).update(status=to, **fields)

    def with_origins(self) -> models.QuerySet[Any]:
        """Add `own_inputs` and `own_outputs`: for a firing that was taken over, those of the execution that ran it."""
        origin = NodeExecution.objects.filter(
            execution_id=OuterRef("origin_id"), node_key=OuterRef("node_key"), item_path=OuterRef("item_path")
        )
        return self.annotate(
            own_inputs=Case(When(origin_id__isnull=False, then=Subquery(origin.values("inputs"))), default=F("inputs")),
            own_outputs=Case(
                When(origin_id__isnull=False, then=Subquery(origin.values("outputs"))), default=F("outputs")
            ),
        )


class NodeExecution(models.Model):
    """How a node fared at one item path: who runs it now, what went in, what came out.

    Partitioned by month on `execution_id`. In the database the key is (execution, node, item path): a firing exists once.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    #: No constraint: claims and settles lock the execution anyway, and a month of executions can be dropped in one statement.
    execution = models.ForeignKey(
        Execution, on_delete=models.CASCADE, related_name="node_executions", db_index=False, db_constraint=False
    )
    node_key = models.CharField(max_length=64)
    item_path = ArrayField(models.IntegerField(), default=list)
    status = models.CharField(
        max_length=16, choices=[(s.value, s.value) for s in NodeStatus], default=NodeStatus.PENDING.value
    )
    attempt = models.PositiveSmallIntegerField(default=1)
    #: How often a worker died with it, or was taken for dead.
    crashes = models.PositiveSmallIntegerField(default=0)
    #: The fences of those workers that have not been heard of since: none of them said that it lives, and was only slow.
    lost_fences = ArrayField(models.BigIntegerField(), null=True, editable=False)
    #: RUNNING: the end of its worker counts as one of its crashes. Not yet for a suspect that is claimed and not begun.
    is_to_blame = models.BooleanField(default=True, db_default=True)
    #: Given out once to each claim, and growing; a writer with another one writes nothing.
    fence = models.BigIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=64, blank=True, default="")
    #: PENDING: it is begun again from then on.
    due_at = models.DateTimeField(null=True, blank=True)
    #: How often it has waited for a person, a time or an event.
    waits = models.PositiveSmallIntegerField(default=0)
    #: The attempts before this one: when, what went wrong, what it cost.
    history: models.JSONField[list[dict[str, Any]], list[dict[str, Any]]] = models.JSONField(default=list)
    #: The execution whose firing of this node at this path was taken over; what went in and came out stands there.
    origin_id = models.UUIDField(null=True, blank=True, editable=False)
    inputs: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    #: By pin, the values it yielded, in order.
    outputs: models.JSONField[dict[str, list[Any]], dict[str, list[Any]]] = models.JSONField(default=dict)
    #: Where it is INCOMPLETE: the pins on which nothing came to meet the rest.
    missing_pins = ArrayField(models.CharField(max_length=400), default=list)
    error_code = models.CharField(max_length=64, blank=True, default="")
    error_message = models.TextField(blank=True, default="")
    error_hint = models.TextField(blank=True, default="")
    usage: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    cost_microcredits = models.BigIntegerField(default=0)
    #: Of the executions that it started as sub-graphs.
    child_cost_microcredits = models.BigIntegerField(default=0)
    child_input_tokens = models.BigIntegerField(default=0)
    child_output_tokens = models.BigIntegerField(default=0)
    queued_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = NodeExecutionQuerySet.as_manager()

    class Meta:
        db_table = "executions_nodeexecution"
        indexes = [
            # Not by the lease: every renewal would have to write all indexes anew.
            models.Index(
                fields=["execution"], condition=Q(status=NodeStatus.RUNNING.value), name="node_executions_running"
            ),
            models.Index(
                fields=["due_at"], condition=Q(status=NodeStatus.PENDING.value), name="node_executions_pending"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["execution", "node_key", "item_path"], name="a_node_fires_once_at_a_path"),
            models.CheckConstraint(
                condition=Q(status__in=[s.value for s in NodeStatus]), name="a_firing_has_a_known_status"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=sorted(s.value for s in NODE_FINAL)) | Q(ended_at__isnull=False),
                name="a_final_firing_has_ended",
            ),
            models.CheckConstraint(condition=Q(cost_microcredits__gte=0), name="a_firing_costs_nothing_or_more"),
        ]

    def __str__(self) -> str:
        return f"{self.node_key} {self.shown_path}".rstrip()

    @property
    def shown_path(self) -> str:
        """Return the item path as people count: `#1`, `#2.3`; nothing for the plain path, or where a stream had no item."""
        return show_path(self.item_path)

    @property
    def duration(self) -> timedelta | None:
        """Return how long its last attempt ran."""
        return self.ended_at - self.started_at if self.ended_at and self.started_at else None
