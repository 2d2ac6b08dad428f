"""What the rows of an execution say of how far it is."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from executions.engine import progress
from executions.engine.items import Outcome, Path
from executions.engine.plan import Plan
from executions.engine.status import NODE_FINAL, NodeStatus
from executions.models import NodeExecution


def known_outcomes(
    execution_id: UUID, plan: Plan, segments: Iterable[int], *, has_origins: bool
) -> dict[tuple[int, Path], Outcome]:
    """Return how the nodes of these segments, and those that feed them, have ended so far."""
    nodes = {node for segment in segments for node in plan.segments[segment].nodes}
    nodes |= {producer for node in nodes for producer in plan.nodes[node].producers}
    firings = NodeExecution.objects.filter(
        execution_id=execution_id, node_key__in=[plan.nodes[node].key for node in nodes], status__in=NODE_FINAL
    )
    own = firings.with_origins().values_list("node_key", "item_path", "status", "own_outputs")
    rows = own if has_origins else firings.values_list("node_key", "item_path", "status", "outputs")
    return {
        (plan.index_of[key], tuple(path)): Outcome(NodeStatus(status), outputs) for key, path, status, outputs in rows
    }


def ended_segments(
    execution_id: UUID, plan: Plan, done: Iterable[int], *, mark: str, has_origins: bool
) -> frozenset[int]:
    """Return the segments that have ended: as they were counted, or by the rows if they were counted by another cut of the plan."""
    if mark in ("", plan.mark):
        return frozenset(done)
    known = known_outcomes(execution_id, plan, range(len(plan.segments)), has_origins=has_origins)
    return progress.ended_segments(plan, known)
