"""What whoever waits for an execution or a node asks again and again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Now

from executions import launch
from executions.engine.plan import Plan, PlanNode
from executions.engine.progress import Progress
from executions.engine.status import NodeStatus, Status
from executions.errors import ExecutionFailed, ExecutionNotFound, NodeNotFound
from executions.known import ended_segments, known_outcomes
from executions.models import Execution, NodeExecution
from executions.plans import plan_of


def find(execution_id: str | UUID, node_key: str, *, owner_id: int | None) -> Execution:
    """Return an execution that has such a node: of this owner, unless that is None.

    Raises:
        ExecutionNotFound, NodeNotFound: there is none.
    """
    try:
        mine = Execution.objects.filter(pk=UUID(str(execution_id)))
    except ValueError:
        raise ExecutionNotFound(f"{execution_id!r} is not the id of an execution.") from None
    execution = (mine if owner_id is None else mine.filter(owner_id=owner_id)).first()
    if execution is None:
        raise ExecutionNotFound
    if node_key not in plan_of(execution.version_id).index_of:
        raise NodeNotFound(f"There is no node {node_key!r}.")
    return execution


def ended_execution(execution_id: UUID) -> Execution | None:
    """Return an execution if it has ended."""
    execution = Execution.objects.get(pk=execution_id)
    return execution if execution.is_final else None


def outputs_of_node(execution_id: UUID, node_key: str) -> dict[str, list[Any]] | None:
    """Return, by pin, what a node gave at all its paths in their order; None as long as it has not ended at all of them.

    Raises:
        ExecutionFailed: it has failed and nothing in the graph deals with that, or it will not end any more.
    """
    execution = Execution.objects.get(pk=execution_id)
    plan = plan_of(execution.version_id)
    node = plan.nodes[plan.index_of[node_key]]
    if not _has_ended(execution, plan, node):
        if execution.is_final:
            raise failed(execution)
        return None
    rows = NodeExecution.objects.filter(execution_id=execution_id, node_key=node_key).order_by("item_path")
    outputs: dict[str, list[Any]] = {}
    for row in rows.with_origins():
        if row.status == NodeStatus.FAILED and not node.handles_errors and node.on_error == "fail":
            raise ExecutionFailed(
                row.error_message, code=row.error_code, hint=row.error_hint, execution_id=execution_id
            )
        if row.status in (NodeStatus.SUCCEEDED, NodeStatus.FAILED):
            for pin, values in row.own_outputs.items():
                outputs.setdefault(pin, []).extend(values)
    return outputs


def failed(execution: Execution) -> ExecutionFailed:
    """Return the error of an execution that did not succeed."""
    return ExecutionFailed(
        execution.error_message or f"The execution is {execution.status}.",
        code=execution.error_code or "EXECUTION_CANCELLED",
        hint=execution.error_hint,
        execution_id=execution.pk,
    )


def waits_for(execution: Execution, node_key: str, firing: tuple[UUID, str]) -> bool:
    """Say whether a node can not end before a firing does: it comes after it, or after what has called it as a sub-graph."""
    here: UUID | None
    here, key = firing
    while here != execution.pk:
        if here is None:
            return False
        here, key = Execution.objects.values_list("parent_id", "parent_node").get(pk=here)
    plan = plan_of(execution.version_id)
    return plan.index_of[node_key] in plan.downstream(plan.index_of[key])


def relaunch_if_idle(execution_id: UUID) -> None:
    """Launch an execution again that was sent a while ago and that nobody is at work on, as reconcile does for all."""
    leased = NodeExecution.objects.filter(
        execution_id=OuterRef("pk"), status=NodeStatus.RUNNING, lease_expires_at__gt=Now()
    )
    idle = Execution.objects.filter(
        ~Exists(leased),
        pk=execution_id,
        status__in=(Status.QUEUED, Status.RUNNING),
        is_paused=False,
        launched_at__lt=Now() - timedelta(seconds=settings.AGENTPLATFORM_RECONCILE_S),
    )
    if idle.update(launched_at=Now(), launches=F("launches") + 1):
        launch.launch([execution_id])


def _has_ended(execution: Execution, plan: Plan, node: PlanNode) -> bool:
    has_origins = execution.retried_from_id is not None
    done = ended_segments(
        execution.pk, plan, execution.segments_done, mark=execution.plan_mark, has_origins=has_origins
    )
    segment = plan.segments[node.segment]
    if segment.index in done or not segment.producers <= done:
        return segment.index in done
    known = known_outcomes(execution.pk, plan, [segment.index], has_origins=has_origins)
    return Progress(plan, [segment.index], done=done, known=known).is_complete(node.index)
