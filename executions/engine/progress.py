"""How far an execution has come within a region: which firings are ready, which nodes have ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from executions.engine.items import (
    DEAD,
    Entries,
    Given,
    Matched,
    Outcome,
    Path,
    are_apart,
    gather,
    items_of,
    last_live,
    match,
    merge,
)
from executions.engine.plan import Feed, Plan, PlanNode
from executions.engine.status import NodeStatus


@dataclass(frozen=True, slots=True)
class Firing:
    """A node that can fire at a path, with the values that arrived, by pin address in link order."""

    node: int
    path: Path
    arrived: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Closed:
    """A node that will not fire at a path, and why."""

    node: int
    path: Path
    status: NodeStatus
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class _NodeState:
    ended: dict[Path, Outcome] = field(default_factory=dict)
    #: Paths at which it is ready or running.
    open: set[Path] = field(default_factory=set)
    #: All its paths are known.
    is_settled: bool = False
    #: No path of it begins another, so its items can go on one by one.
    is_apart: bool = False
    is_complete: bool = False


class Progress:
    """The state of the nodes of some segments, given what has ended before.

    Pure: rows come in as `known`, outcomes through `resolve`; ready firings and closed paths go out.
    """

    def __init__(
        self,
        plan: Plan,
        segments: Iterable[int],
        *,
        done: Iterable[int],
        known: Mapping[tuple[int, Path], Outcome],
        only: frozenset[int] | None = None,
    ) -> None:
        """Take up `segments`, where the segments `done` have ended and `known` holds every outcome that matters here.

        With `only`, nothing but these nodes is handed out: the region of one chunk.
        """
        self.plan = plan
        self.segments = sorted(segments)
        self.closed: list[Closed] = []
        self._ready: list[Firing] = []
        self._known = known
        self._only = only
        self._region = {node for segment in self.segments for node in plan.segments[segment].nodes}
        self._states: dict[int, _NodeState] = {node: _NodeState() for node in self._region}
        self._todo: deque[tuple[int, Path, Outcome]] = deque()
        self._begin(frozenset(done))

    def take_ready(self) -> list[Firing]:
        """Return the firings that became ready since the last call, in order of node and path."""
        ready, self._ready = self._ready, []
        ready.sort(key=lambda firing: (firing.node, firing.path))
        return ready

    def take_closed(self) -> list[Closed]:
        """Return the paths that were closed without firing since the last call."""
        closed, self.closed = self.closed, []
        return closed

    def resolve(self, node: int, path: Path, outcome: Outcome) -> None:
        """Take in how a firing ended, and find what follows from it."""
        self._todo.append((node, path, outcome))
        self._drain()

    def paths_of(self, node: int) -> list[Path]:
        """Return every path of a node at which it fires or has fired, in order."""
        state = self._states[node]
        return sorted({*state.open, *(path for path, outcome in state.ended.items() if outcome.status in _FIRED)})

    def is_settled(self, node: int) -> bool:
        """Say whether all paths of a node are known."""
        return self._states[node].is_settled

    def is_complete(self, node: int) -> bool:
        """Say whether a node has ended at all its paths."""
        return self._states[node].is_complete

    def complete_segments(self) -> list[int]:
        """Return the segments of the region in which every node has ended at every path."""
        return [
            segment
            for segment in self.segments
            if all(self._states[node].is_complete for node in self.plan.segments[segment].nodes)
        ]

    def outcomes_of(self, node: int) -> Mapping[Path, Outcome]:
        """Return how a node ended, by path, as far as it is known here."""
        return self._states[node].ended

    def _begin(self, done: frozenset[int]) -> None:
        nodes = self.plan.nodes
        outside = {p for node in self._region for p in nodes[node].producers} - self._region
        for producer in outside:
            state = self._states[producer] = _NodeState()
            state.is_settled = state.is_complete = nodes[producer].segment in done
        for (node, path), outcome in self._known.items():
            if node in outside and self._states[node].is_complete:
                self._states[node].ended[path] = outcome
        # What is pipelined within the region hears of its producer while that goes on; all else is matched when fed.
        for node in sorted(self._region):
            self._match_if_fed(nodes[node])
        self._drain()

    def _drain(self) -> None:
        while self._todo:
            node, path, outcome = self._todo.popleft()
            state = self._states[node]
            if path in state.ended:
                continue
            state.ended[path] = outcome
            state.open.discard(path)
            for consumer in self.plan.nodes[node].consumers:
                if self._is_flowing(node, consumer):
                    self._flow(self.plan.nodes[consumer], path, outcome)
            self._complete_if_ended(node)

    def _complete_if_ended(self, node: int) -> None:
        """Mark nodes as complete, and go on to those that waited for exactly that."""
        todo = [node]
        while todo:
            here = todo.pop()
            state = self._states[here]
            if state.is_complete or not state.is_settled or state.open:
                continue
            state.is_complete = True
            for consumer in self.plan.nodes[here].consumers:
                if consumer not in self._region:
                    continue
                if self._is_flowing(here, consumer):
                    self._states[consumer].is_settled = True
                    todo.append(consumer)
                elif self._match_if_fed(self.plan.nodes[consumer]):
                    todo.append(consumer)

    def _is_flowing(self, producer: int, consumer: int) -> bool:
        """Say whether each item goes through `consumer` by itself, before its siblings are known."""
        is_pipelined = consumer in self._region and self.plan.nodes[consumer].is_pipelined
        return is_pipelined and producer in self._region and self._states[producer].is_apart

    def _flow(self, node: PlanNode, path: Path, outcome: Outcome) -> None:
        """Let the items of one ended firing go through a pipelined node."""
        feed = node.feeds[0]
        source = feed.sources[0]
        self._states[node.index].is_apart = True
        for item_path, value in items_of(outcome, path, source.pin, is_stream=source.is_stream):
            if value is DEAD:
                self._close(node, item_path, NodeStatus.SKIPPED)
            else:
                self._open(node, item_path, {feed.address: value})

    def _match_if_fed(self, node: PlanNode) -> bool:
        """Match a node once everything that feeds it is complete. Return whether it was matched now."""
        state = self._states[node.index]
        if state.is_settled or not all(self._states[producer].is_complete for producer in node.producers):
            return False
        static = {feed.address: last_live(self._links_of(feed)) for feed in node.feeds if feed.is_static}
        matched = match({feed.address: self._arriving(feed) for feed in node.feeds if not feed.is_static})
        if DEAD in static.values():
            matched = Matched(skipped=[*matched.firings, *matched.skipped, *matched.incomplete])
        for path, values in matched.firings.items():
            arrived = {**static, **values}
            self._open(node, path, {feed.address: arrived[feed.address] for feed in node.feeds})
        for path in matched.skipped:
            self._close(node, path, NodeStatus.SKIPPED)
        for path, missing in matched.incomplete.items():
            self._close(node, path, NodeStatus.INCOMPLETE, missing)
        state.is_settled = True
        state.is_apart = are_apart((*matched.firings, *matched.skipped, *matched.incomplete))
        return True

    def _arriving(self, feed: Feed) -> Entries:
        entries = merge(self._links_of(feed))
        return gather(entries) if feed.is_gathered else entries

    def _links_of(self, feed: Feed) -> list[Given]:
        return [
            [
                item
                for path, outcome in sorted(self._states[source.node].ended.items(), key=_by_path)
                for item in items_of(outcome, path, source.pin, is_stream=source.is_stream)
            ]
            for source in feed.sources
        ]

    def _open(self, node: PlanNode, path: Path, arrived: Mapping[str, Any]) -> None:
        known = self._known.get((node.index, path))
        self._states[node.index].open.add(path)
        if known is not None:
            self._todo.append((node.index, path, known))
        elif self._only is None or node.index in self._only:
            self._ready.append(Firing(node.index, path, arrived))

    def _close(self, node: PlanNode, path: Path, status: NodeStatus, missing: tuple[str, ...] = ()) -> None:
        if (node.index, path) not in self._known:
            self.closed.append(Closed(node.index, path, status, missing))
        self._states[node.index].open.add(path)
        self._todo.append((node.index, path, Outcome(status)))


def ended_segments(plan: Plan, known: Mapping[tuple[int, Path], Outcome]) -> frozenset[int]:
    """Return the segments of which every firing has ended and is written, going by nothing but how firings have ended."""
    progress = Progress(plan, range(len(plan.segments)), done=(), known=known)
    # A path that never fires counts once it is written: what comes after it is matched with what is read from the rows.
    unwritten = {plan.nodes[closed.node].segment for closed in progress.take_closed()}
    return frozenset(progress.complete_segments()) - unwritten


def _by_path(ended: tuple[Path, Outcome]) -> Path:
    return ended[0]


_FIRED = frozenset({NodeStatus.SUCCEEDED, NodeStatus.FAILED})
