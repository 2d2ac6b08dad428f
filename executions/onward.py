"""What a lane sends on, or keeps to go on with in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from executions import leases
from executions.engine.compile import Canvas, Chain, Lane, compile, spread
from executions.engine.items import Path
from executions.engine.progress import Progress
from executions.route import Route
from executions.snapshot import Snapshot
from executions.worker import patiently


class Onward:
    """What follows a lane: the segments that its settles make ready, and what of it is too much for one task."""

    def __init__(self, snapshot: Snapshot, lane: Lane, route: Route) -> None:
        self.snapshot = snapshot
        self.plan = snapshot.plan
        self.lane = lane
        self.route = route
        #: A lane of this queue to go on with in place: a message saved.
        self.following: Lane | None = None
        self._spreads: list[tuple[int, list[Path]]] = []

    def go_on(self, segments: Sequence[int], done: frozenset[int], *, may_keep: bool) -> None:
        """Send on, or keep, the segments for which these were the last they waited for, among those that are done."""
        after = {consumer for segment in segments for consumer in self.plan.segments[segment].consumers}
        wave = sorted(
            segment
            for segment in after - set(self.lane.covered) - done
            if self.plan.segments[segment].producers <= done
        )
        if not wave:
            return
        canvases = compile(self.plan, done, self.route.limits(), wave=wave)
        # What is covered waits for this task to return.
        if self.following is None and may_keep and not self.lane.covered:
            canvases = self._keep_one(canvases)
        self.route.send(self.snapshot.execution_id, canvases)

    def put_aside(self, node: int, paths: list[Path]) -> None:
        """Take what is too much for one task, to be spread."""
        self._spreads.append((node, paths))

    def spread(self, progress: Progress) -> bool:
        """Send what was put aside as a chord of chunks that meets in this lane again. Return whether others hold some of it."""
        spreads, self._spreads = self._spreads, []
        is_held = False
        for node, paths in spreads:
            # What nobody can claim now is left out: its chunks would claim nothing, come back at once, and be spread again and again.
            held = patiently(leases.held, self.snapshot.execution_id, self.plan.nodes[node].key)
            is_held = is_held or not held.isdisjoint(paths)
            position_of = {path: position for position, path in enumerate(progress.paths_of(node))}
            positions = [position_of[path] for path in paths if path not in held]
            if not positions:
                continue
            # This task returns before its chunks end, so what its canvas sends on comes too early: nothing is covered any more.
            lane = replace(self.lane, segments=(self.plan.nodes[node].segment,), covered=())
            self.route.send(self.snapshot.execution_id, [spread(lane, node, positions, self.route.limits())])
        return is_held

    def send_all(self) -> None:
        """Send the lane itself, for another worker to go on with."""
        # Its canvas sends on once this task returns, which is too early: nothing is covered any more.
        self.route.send(self.snapshot.execution_id, [replace(self.lane, covered=())])

    def _keep_one(self, canvases: list[Canvas]) -> list[Canvas]:
        """Keep a lane of this queue; a chain's first lane will do, without its cover."""
        for canvas in canvases:
            lane = canvas.lanes[0] if isinstance(canvas, Chain) else canvas
            if isinstance(lane, Lane) and lane.queue == self.lane.queue:
                self.following = replace(lane, covered=())
                return [other for other in canvases if other is not canvas]
        return canvases
