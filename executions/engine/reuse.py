"""What an ended execution spares the next one: the firings that would be given the same again, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from executions.engine.items import Outcome, Path
from executions.engine.plan import Plan, PlanNode
from executions.engine.progress import Closed, Firing, Progress
from executions.engine.status import NodeStatus

#: Returns what a block would be given, or None where that can not be put together.
ValuesOf = Callable[[PlanNode, Firing], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Earlier:
    """A row of the ended execution: how a firing ended, and the values it was given, as they are stored."""

    status: NodeStatus
    inputs: Mapping[str, Any]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Reuse:
    """What a new execution begins with."""

    #: Firings that stand as they ended, in order of node and path.
    reused: tuple[tuple[str, Path], ...]
    #: Paths at which, by those, a node will not fire.
    closed: tuple[Closed, ...]
    #: Segments in which nothing is left to do.
    segments: tuple[int, ...]
    #: Firings that are known to run again; further ones may follow from how they end.
    will_run: tuple[tuple[str, Path], ...]
    #: The nodes of those and all that can hear of them: what runs again, or may.
    affected: frozenset[str]


def reusable(
    plan: Plan,
    *,
    before: Mapping[tuple[str, Path], Earlier],
    unchanged: frozenset[str] | None,
    excluded: frozenset[str],
    values_of: ValuesOf,
) -> Reuse:
    """Find out what of an ended execution stands in a new one that runs `plan`.

    A firing stands if it succeeded, its node is unchanged (None: the version is the same) and not excluded, and what it would be
    given now is what it was given then.
    """
    progress = Progress(plan, range(len(plan.segments)), done=(), known={})
    reused: list[tuple[int, Path]] = []
    will_run: list[tuple[int, Path]] = []
    while ready := progress.take_ready():
        for firing in ready:
            node = plan.nodes[firing.node]
            earlier = before.get((node.key, firing.path))
            is_same = node.key not in excluded and (unchanged is None or node.key in unchanged)
            if earlier is not None and is_same and _stands(earlier, values_of(node, firing)):
                reused.append((firing.node, firing.path))
                progress.resolve(firing.node, firing.path, earlier.outcome)
            else:
                will_run.append((firing.node, firing.path))
    affected = {index for node in {node for node, _ in will_run} for index in plan.downstream(node)}
    return Reuse(
        reused=_named(plan, reused),
        closed=tuple(progress.take_closed()),
        segments=tuple(progress.complete_segments()),
        will_run=_named(plan, will_run),
        affected=frozenset(plan.nodes[index].key for index in affected),
    )


def unchanged_nodes(old: Plan, new: Plan) -> frozenset[str]:
    """Return the keys of the nodes that do the same in both plans, given the same: what feeds them may have changed."""
    return frozenset(
        node.key
        for node in new.nodes
        if node.key in old.index_of and _does_the_same(old, old.nodes[old.index_of[node.key]], new, node)
    )


def same_json(one: Any, other: Any) -> bool:
    """Say whether two values are the same in JSON: 1 and 1.0 are, True and 1 are not, the order of keys means nothing."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_json, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) != isinstance(other, float):
        return bool(_digits(one) == _digits(other))
    return bool(one == other)


def _stands(earlier: Earlier, values: dict[str, Any] | None) -> bool:
    return earlier.status is NodeStatus.SUCCEEDED and values is not None and same_json(earlier.inputs, values)


def _does_the_same(old: Plan, before: PlanNode, new: Plan, now: PlanNode) -> bool:
    was = (before.block_id, before.block, before.on_error, before.handles_errors, _feeds(old, before))
    is_now = (now.block_id, now.block, now.on_error, now.handles_errors, _feeds(new, now))
    return was == is_now and same_json(before.constants, now.constants)


def _feeds(plan: Plan, node: PlanNode) -> list[Any]:
    """Return what feeds a node, in link order, in words that mean the same in every plan."""
    return [
        (
            feed.address,
            feed.is_static,
            feed.is_gathered,
            [(plan.nodes[source.node].key, source.pin, source.is_stream) for source in feed.sources],
        )
        for feed in node.feeds
    ]


def _named(plan: Plan, firings: list[tuple[int, Path]]) -> tuple[tuple[str, Path], ...]:
    return tuple((plan.nodes[node].key, path) for node, path in sorted(firings))


def _digits(value: Any) -> Any:
    # Postgres keeps the digits that were written, so that 1e23 comes back as a whole number, which no float equals exactly.
    return Decimal(repr(value)) if isinstance(value, float) else value
