"""What is stored of an execution, as far as it matters to one lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from executions import statements
from executions.engine.compile import Lane
from executions.engine.items import Outcome, Path
from executions.engine.plan import Plan
from executions.engine.status import NODE_FINAL, NodeStatus, Status
from executions.messages import Work
from executions.models import NodeExecution
from executions.plans import plan_of


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state a lane starts from."""

    execution_id: UUID
    plan: Plan
    inputs: dict[str, Any]
    done: frozenset[int]
    #: How the nodes of the lane, and those that feed them, have ended so far.
    known: dict[tuple[int, Path], Outcome]
    is_stopping: bool


def look(work: Sequence[Work]) -> list[Snapshot | None]:
    """Read what each lane needs to know, or None where nothing is left to do for it."""
    with statements.cursor() as cursor:
        statements.run(cursor, "look", ids=list({one.execution_id for one in work}))
        rows = {row[0]: row[1:] for row in cursor}
    return [_seen(one, rows[one.execution_id]) if one.execution_id in rows else None for one in work]


def _seen(work: Work, row: tuple[Any, ...]) -> Snapshot | None:
    status, version_id, inputs, done, is_stopping = row
    if done and set(work.lane.segments) <= set(done):
        return None
    plan = plan_of(version_id)
    known = {} if status == Status.QUEUED else _known(work.execution_id, plan, work.lane)
    return Snapshot(work.execution_id, plan, from_json(inputs), frozenset(done), known, is_stopping)


def _known(execution_id: UUID, plan: Plan, lane: Lane) -> dict[tuple[int, Path], Outcome]:
    nodes = {node for segment in lane.segments for node in plan.segments[segment].nodes}
    nodes |= {producer for node in nodes for producer in plan.nodes[node].producers}
    rows = NodeExecution.objects.filter(
        execution_id=execution_id, node_key__in=[plan.nodes[node].key for node in nodes], status__in=NODE_FINAL
    ).values_list("node_key", "item_path", "status", "outputs")
    return {
        (plan.index_of[key], tuple(path)): Outcome(NodeStatus(status), outputs) for key, path, status, outputs in rows
    }
