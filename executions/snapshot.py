"""What is stored of an execution, as far as it matters to one lane."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from executions import statements
from executions.begun import Family
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
    family: Family
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
    status, version_id, inputs, done, is_stopping, is_paused, _mark, has_origins, *family = row
    if done and set(work.lane.segments) <= set(done):
        return None
    if is_paused:
        return None
    plan = plan_of(version_id)
    known = (
        known_outcomes(work.execution_id, plan, work.lane.segments, has_origins=has_origins)
        if status != Status.QUEUED or has_origins
        else {}
    )
    owner_id, root_id, parent_id, depth = family
    return Snapshot(
        work.execution_id,
        plan,
        Family(owner_id, root_id, depth, parent_id),
        from_json(inputs),
        frozenset(done),
        known,
        is_stopping,
    )


def known_outcomes(
    execution_id: UUID, plan: Plan, segments: Iterable[int], *, has_origins: bool
) -> dict[tuple[int, Path], Outcome]:
    """Return how the nodes of these segments, and those that feed them, have ended so far."""
    nodes = {node for segment in segments for node in plan.segments[segment].nodes}
    nodes |= {producer for node in nodes for producer in plan.nodes[node].producers}
    rows = NodeExecution.objects.filter(
        execution_id=execution_id, node_key__in=[plan.nodes[node].key for node in nodes], status__in=NODE_FINAL
    )
    if has_origins:
        rows = rows.with_origins()
    return {
        (plan.index_of[key], tuple(path)): Outcome(NodeStatus(status), outputs)
        for key, path, status, outputs in rows.values_list(
            "node_key", "item_path", "status", "own_outputs" if has_origins else "outputs"
        )
    }
