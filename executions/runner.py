"""Run lanes on the event loop: look, claim, run, settle, and go on with what that made possible."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from agentplatform.lib.clock import now
from agentplatform.lib.errors import AppError
from blocks.sdk import Placement
from executions import launch, leases, worker
from executions.engine.compile import Chain, Lane, compile, spread
from executions.engine.progress import Firing, Progress
from executions.engine.segments import CPU_QUEUE
from executions.errors import LeaseLost, NotRunning
from executions.firing import fire, values_of
from executions.leases import Claim, Wanted
from executions.messages import Work
from executions.settle import Batch, Ended, Settled, settle, stop_if_idle
from executions.snapshot import Snapshot, look
from executions.worker import Worker

logger = logging.getLogger(__name__)

#: After so many cheap firings in a row the loop is lent to others.
FIRINGS_A_TURN = 64


def run_lanes(work: Sequence[Work]) -> None:
    """Run lanes side by side and whatever follows from them here. Never raises: the outcome is in Postgres."""
    here = worker.current()
    here.run(_all(here, work))


async def _all(here: Worker, work: Sequence[Work]) -> None:
    await asyncio.gather(*(_follow(here, one) for one in work))


async def _follow(here: Worker, work: Work) -> None:
    """Run a lane, and in its place each lane that it made possible and that belongs on this queue."""
    following: Lane | None = work.lane
    while following is not None:
        lane, following = following, None
        try:
            run = await here.in_database(_begin, here, work.execution_id, lane)
            if run is not None:
                following = await run.carry_out()
        except (LeaseLost, NotRunning) as reason:
            logger.info("Left execution %s alone: %s", work.execution_id, reason.message)
        except Exception:
            logger.exception("Lane %s of execution %s broke off", lane, work.execution_id)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A firing that may run: with the values it is given, or the error that these could not be put together."""

    firing: Firing
    values: dict[str, Any] | AppError
    claim: Claim | None
    queued_at: datetime


def _begin(here: Worker, execution_id: UUID, lane: Lane) -> _LaneRun | None:
    """Look at an execution and claim what is ready in a lane: one visit to the database thread."""
    snapshot = look(execution_id, lane)
    if snapshot is None:
        return None
    run = _LaneRun(here, snapshot, lane)
    run.claim_ready()
    return run


class _LaneRun:
    """One lane of one execution on this worker."""

    def __init__(self, here: Worker, snapshot: Snapshot, lane: Lane) -> None:
        self.here = here
        self.snapshot = snapshot
        self.plan = snapshot.plan
        self.lane = lane
        only = self.plan.downstream(lane.items.node) if lane.items else None
        self.progress = Progress(self.plan, lane.segments, done=snapshot.done, known=snapshot.known, only=only)
        self.done = snapshot.done
        self.is_stopping = snapshot.is_stopping
        #: The execution has ended.
        self.is_over = False
        self.was_refused = False
        self.is_lost = False
        #: Claimed, and not begun yet.
        self.granted: list[_Begun] = []
        #: Only computes, and can run at once.
        self.cheap: list[_Begun] = []
        self.waits: dict[asyncio.Task[Ended], _Begun] = {}
        self.ended: list[Ended] = []
        self.reported: set[int] = set()
        self.spreads: list[tuple[int, list[int]]] = []
        self.claims: set[Claim] = set()
        self.following: Lane | None = None

    async def carry_out(self) -> Lane | None:
        """Run until nothing of the lane is left for this worker. Return a lane to go on with here, if there is one."""
        try:
            while True:
                self._start_granted()
                to_claim = await self._run_cheap()
                await self._settle()
                await self._spread()
                await self._claim(to_claim)
                if self.granted:
                    continue
                if not self.waits:
                    break
                await self._wait()
            if self.is_stopping or self.was_refused:
                await self._stop_if_idle()
            return self.following
        finally:
            await self._let_go()

    def claim_ready(self) -> None:
        """Claim what is ready at the beginning. Called on a database thread, before anything runs."""
        self._claim_now(self._take_ready())

    def lose(self) -> None:
        """Stop: a lease was taken over. Called on the loop."""
        self.is_lost = True
        for task in self.waits:
            task.cancel()

    def _take_ready(self) -> list[Firing]:
        """Take what has become ready here: all, or the range of a chunk; what is too much for one task is put aside."""
        ready = self.progress.take_ready()
        if self.is_stopping or self.is_over:
            return []
        if items := self.lane.items:
            wanted = set(self.progress.paths_of(items.node)[items.start : items.stop])
            return [firing for firing in ready if firing.node != items.node or firing.path in wanted]
        by_node: dict[int, list[Firing]] = {}
        for firing in ready:
            by_node.setdefault(firing.node, []).append(firing)
        for node, firings in by_node.items():
            if self._is_too_much(node, len(firings)):
                positions = {path: position for position, path in enumerate(self.progress.paths_of(node))}
                self.spreads.append((node, [positions[firing.path] for firing in firings]))
                ready = [firing for firing in ready if firing.node != node]
        return ready

    def _is_too_much(self, node: int, count: int) -> bool:
        if self.plan.nodes[node].block.placement is Placement.INLINE or not self.progress.is_settled(node):
            return False
        limits = launch.limits()
        return count > (limits.lanes if self.lane.queue == CPU_QUEUE else limits.chunk)

    async def _claim(self, ready: list[Firing]) -> None:
        """Claim firings that became ready: real work begins only once what it builds on is kept."""
        if ready:
            await self.here.in_database(self._claim_now, ready)

    def _claim_now(self, ready: list[Firing]) -> None:
        if not ready or self.is_stopping or self.is_over:
            return
        queued_at = now()
        values = {(firing.node, firing.path): self._values(firing) for firing in ready}
        wanted = [
            Wanted(self.plan.nodes[node].key, path, given if isinstance(given, dict) else {})
            for (node, path), given in values.items()
        ]
        claims = leases.claim(self.snapshot.execution_id, wanted, worker=self.here.name)
        self.was_refused = self.was_refused or len(claims) < len(wanted)
        self.claims.update(claims)
        self.here.hold(claims, self)
        ours = {(self.plan.index_of[claim.node_key], claim.path): claim for claim in claims}
        for firing in ready:
            if claim := ours.get((firing.node, firing.path)):
                self.granted.append(_Begun(firing, values[firing.node, firing.path], claim, queued_at))

    def _start_granted(self) -> None:
        granted, self.granted = self.granted, []
        for begun in granted:
            if self._is_cheap(begun.firing):
                self.cheap.append(begun)
            else:
                self.waits[asyncio.ensure_future(self._fire(begun))] = begun

    async def _run_cheap(self) -> list[Firing]:
        """Run everything that only computes, and what that makes ready in turn. Return what must be claimed first."""
        to_claim = self._sort_ready()
        turns = 0
        while self.cheap:
            batch, self.cheap = self.cheap, []
            for begun in batch:
                self._resolve(await self._fire(begun))
                turns += 1
                if turns % FIRINGS_A_TURN == 0:
                    await asyncio.sleep(0)
            to_claim += self._sort_ready()
        return to_claim

    def _sort_ready(self) -> list[Firing]:
        """Put aside what has become ready and only computes: it needs no claim of its own. Return the rest."""
        queued_at = now()
        ready = self._take_ready()
        self.cheap.extend(_Begun(one, self._values(one), None, queued_at) for one in ready if self._is_cheap(one))
        return [firing for firing in ready if not self._is_cheap(firing)]

    async def _wait(self) -> None:
        """Wait until at least one of the waiting blocks has ended."""
        done, _ = await asyncio.wait(self.waits, return_when=asyncio.FIRST_COMPLETED)
        if self.is_lost:
            raise LeaseLost
        for task in done:
            del self.waits[task]
            self._resolve(task.result())

    async def _settle(self) -> None:
        """Write what has ended, and find out what may begin elsewhere."""
        batch = self._batch()
        if not (batch.ended or batch.closed or batch.segments):
            return
        settled = await self.here.in_database(settle, batch)
        settled_claims = [ended.claim for ended in batch.ended if ended.claim]
        self.here.drop(settled_claims)
        self.claims.difference_update(settled_claims)
        self.reported.update(batch.segments)
        self.is_over = settled.is_final
        self.is_stopping = self.is_stopping or settled.is_stopping
        if not (self.is_over or self.is_stopping):
            await self._go_on(batch, settled)

    async def _stop_if_idle(self) -> None:
        """End the execution if it is stopping and this worker was the last at it."""
        if not self.is_over:
            await self.here.in_database(stop_if_idle, self._batch())

    async def _go_on(self, batch: Batch, settled: Settled) -> None:
        """Send on, or keep, the segments for which this batch was the last they waited for."""
        self.done = self.done | settled.done
        after = {consumer for segment in batch.segments for consumer in self.plan.segments[segment].consumers}
        wave = sorted(
            segment
            for segment in after - set(self.lane.covered) - settled.done
            if self.plan.segments[segment].producers <= settled.done
        )
        if not wave:
            return
        canvases = compile(self.plan, settled.done, launch.limits(), wave=wave)
        if self.following is None and not self.waits and not self.cheap:
            canvases = self._keep_one(canvases)
        if canvases:
            await self.here.in_database(launch.send, self.snapshot.execution_id, canvases)

    def _keep_one(self, canvases: list[Any]) -> list[Any]:
        """Keep a lane of this queue to go on with in place: a message saved. A chain's first lane will do, without its cover."""
        for canvas in canvases:
            lane = canvas.lanes[0] if isinstance(canvas, Chain) else canvas
            if isinstance(lane, Lane) and lane.queue == self.lane.queue:
                self.following = replace(lane, covered=())
                return [other for other in canvases if other is not canvas]
        return canvases

    async def _spread(self) -> None:
        """Send what was too much for one task as a chord of chunks that meets in this lane again."""
        spreads, self.spreads = self.spreads, []
        for node, positions in spreads:
            # This task returns before its chunks end, so what its canvas sends on comes too early: nothing is covered any more.
            lane = replace(self.lane, segments=(self.plan.nodes[node].segment,), covered=())
            chunks = spread(lane, node, positions, launch.limits())
            await self.here.in_database(launch.send, self.snapshot.execution_id, [chunks])

    async def _let_go(self) -> None:
        """Leave nothing running and nothing leased behind."""
        for task in self.waits:
            task.cancel()
        if self.waits:
            await asyncio.gather(*self.waits, return_exceptions=True)
        self.here.drop(self.claims)
        if self.claims and not self.is_lost:
            await self.here.in_database(leases.give_up, list(self.claims))

    async def _fire(self, begun: _Begun) -> Ended:
        node = self.plan.nodes[begun.firing.node]
        return await fire(self.snapshot.execution_id, node, begun.firing, begun.values, begun.claim, begun.queued_at)

    def _resolve(self, ended: Ended) -> None:
        self.ended.append(ended)
        if ended.is_fatal:
            self.is_stopping = True
        self.progress.resolve(ended.node, ended.path, ended.outcome)

    def _values(self, firing: Firing) -> dict[str, Any] | AppError:
        try:
            return values_of(self.plan.nodes[firing.node], firing, self.snapshot.inputs)
        except AppError as error:
            return error

    def _is_cheap(self, firing: Firing) -> bool:
        return self.plan.nodes[firing.node].block.placement is Placement.INLINE

    def _batch(self) -> Batch:
        ended, self.ended = self.ended, []
        complete = [segment for segment in self.progress.complete_segments() if segment not in self.reported]
        return Batch(
            execution_id=self.snapshot.execution_id,
            plan=self.plan,
            worker=self.here.name,
            ended=ended,
            closed=self.progress.take_closed(),
            segments=[] if self.is_stopping else complete,
            done_before=self.done,
            known_outputs={
                node.index: dict(self.progress.outcomes_of(node.index))
                for node in self.plan.outputs
                if node.segment in self.lane.segments
            },
        )
