"""A worker in memory: runs what `compile` says through `Progress`, in an order that chance decides, with lost and doubled work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from executions.engine.compile import Canvas, Chain, Chord, Lane, Limits, compile, spread
from executions.engine.items import ERROR_PIN, Outcome, Path
from executions.engine.plan import Plan, PlanNode
from executions.engine.progress import Firing, Progress
from executions.engine.status import NodeStatus

#: Runs a node for the values that arrived; returns what it yielded, or the error it raised.
RunNode = Callable[[PlanNode, Mapping[str, Any]], tuple[dict[str, list[Any]], dict[str, str] | None]]


@dataclass
class Simulation:
    """The rows of one execution, and the tasks that are under way."""

    plan: Plan
    run_node: RunNode
    chance: Random
    limits: Limits = field(default_factory=Limits)
    #: How often a task breaks off in the middle, or arrives twice.
    trouble: float = 0.0
    rows: dict[tuple[int, Path], Outcome] = field(default_factory=dict)
    missing: dict[tuple[int, Path], tuple[str, ...]] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    tasks: list[tuple[Lane, Callable[[], None]]] = field(default_factory=list)
    runs: dict[int, int] = field(default_factory=dict)

    def carry_out(self) -> None:
        """Run until every segment has ended; where nothing is under way, reconcile."""
        rounds = 0
        while len(self.done) < len(self.plan.segments):
            rounds += 1
            assert rounds < 200, "the execution does not come to an end"
            self.send(compile(self.plan, self.done, self.limits))
            while self.tasks:
                lane, then = self.tasks.pop(self.chance.randrange(len(self.tasks)))
                self.run_lane(lane)
                if self.chance.random() < self.trouble:
                    self.run_lane(lane)
                then()

    def send(self, canvases: list[Canvas]) -> None:
        """Put tasks under way as Celery would: a chord's body after its header, a chain one by one."""
        for canvas in canvases:
            if isinstance(canvas, Lane):
                self.tasks.append((canvas, lambda: None))
            elif isinstance(canvas, Chain):
                self._send_chain(list(canvas.lanes))
            else:
                self._send_chord(canvas)

    def run_lane(self, lane: Lane) -> None:
        """Run one task as the runner does: look, run, settle, send on."""
        if set(lane.segments) <= self.done:
            return
        only = self.plan.downstream(lane.items.node) if lane.items else None
        progress = Progress(self.plan, lane.segments, done=self.done, known=dict(self.rows), only=only)
        spreads: list[tuple[int, list[int]]] = []
        breaks_off = self.chance.random() < self.trouble
        waiting = self._take(progress, lane, spreads)
        while waiting:
            firing = waiting.pop(self.chance.randrange(len(waiting)))
            if breaks_off and self.chance.random() < 0.3:
                self._settle(progress, lane, [])
                return
            outputs, error = self.run_node(self.plan.nodes[firing.node], firing.arrived)
            outcome = _ended(self.plan.nodes[firing.node], outputs, error)
            assert (firing.node, firing.path) not in self.rows, "a firing was run twice"
            self.rows[firing.node, firing.path] = outcome
            self.runs[firing.node] = self.runs.get(firing.node, 0) + 1
            progress.resolve(firing.node, firing.path, outcome)
            waiting += self._take(progress, lane, spreads)
        self._settle(progress, lane, spreads)

    def _take(self, progress: Progress, lane: Lane, spreads: list[tuple[int, list[int]]]) -> list[Firing]:
        ready = progress.take_ready()
        if lane.items:
            wanted = progress.paths_of(lane.items.node)[lane.items.start : lane.items.stop]
            return [f for f in ready if f.node != lane.items.node or f.path in wanted]
        for node in {firing.node for firing in ready}:
            mine = [firing for firing in ready if firing.node == node]
            if len(mine) > self.limits.chunk and progress.is_settled(node):
                paths = progress.paths_of(node)
                spreads.append((node, [paths.index(firing.path) for firing in mine]))
                ready = [firing for firing in ready if firing.node != node]
        return ready

    def _settle(self, progress: Progress, lane: Lane, spreads: list[tuple[int, list[int]]]) -> None:
        for closed in progress.take_closed():
            self.rows.setdefault((closed.node, closed.path), Outcome(closed.status))
            self.missing[closed.node, closed.path] = closed.missing
        complete = set(progress.complete_segments()) - self.done
        self.done |= complete
        after = {consumer for segment in complete for consumer in self.plan.segments[segment].consumers}
        wave = [s for s in after - set(lane.covered) - self.done if self.plan.segments[s].producers <= self.done]
        self.send(compile(self.plan, self.done, self.limits, wave=sorted(wave)))
        for node, positions in spreads:
            here = Lane(lane.queue, (self.plan.nodes[node].segment,))
            self.send([spread(here, node, positions, self.limits)])

    def _send_chain(self, lanes: list[Lane]) -> None:
        first, *rest = lanes
        self.tasks.append((first, lambda: self._send_chain(rest) if rest else None))

    def _send_chord(self, canvas: Chord) -> None:
        left = [len(canvas.header)]

        def ended() -> None:
            left[0] -= 1
            if not left[0]:
                self.tasks.append((canvas.body, lambda: None))

        self.tasks.extend((lane, ended) for lane in canvas.header)


def _ended(node: PlanNode, outputs: dict[str, list[Any]], error: dict[str, str] | None) -> Outcome:
    if error is None:
        return Outcome(NodeStatus.SUCCEEDED, outputs)
    return Outcome(NodeStatus.FAILED, {ERROR_PIN: [error]} if node.handles_errors else {})
