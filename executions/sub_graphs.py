"""The one thread of a worker process that starts and drives all its sub-graphs: they share its connection, its statements and its commits.

Their blocks run on the same event loop as those that wait for them, and no thread of the pool waits for a sub-graph: so however deep they
are nested, none can keep another from running.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, TypeVar
from uuid import UUID

from executions import children, launch, outbox, stopping, worker
from executions.batch import ChildCosts
from executions.children import Call, Caller, Child
from executions.drive import OF_LANES, Drive, follow
from executions.engine.compile import Canvas, Chain, Lane, Limits, compile
from executions.engine.segments import CPU_QUEUE
from executions.engine.status import Status
from executions.known import ended_segments
from executions.messages import Work
from executions.needs import Needs, Request, Steps
from executions.plans import plan_of
from executions.route import Route

logger = logging.getLogger(__name__)

T = TypeVar("T")


class SubGraphs:
    """Fulfils `executions.calls.SubGraphs`. Asked on the event loop, it answers from its own thread."""

    def __init__(self) -> None:
        self.drive = Drive(
            {
                **OF_LANES,
                Needs.CHILDREN: children.begin,
                Needs.STATES: children.look_at,
                Needs.COSTS: children.costs_of,
                Needs.STOP: _stop,
            }
        )
        threading.Thread(target=self.drive.run_for_ever, name="sub-graphs", daemon=True).start()

    async def see_through(self, call: Call) -> Child:
        """Start or find the sub-graph of a call, and do for it all that can be done here now."""
        return await self._ask(self._see_through(call))

    async def look_again(self, child: Child) -> Child:
        """Do for a sub-graph what nobody does, and return where it stands."""
        return await self._ask(self._look_again(child))

    async def stop(self, caller: Caller) -> bool:
        """Cancel what a firing has started and what has not ended. Return whether all of it has."""
        return await self._ask(_once(Needs.STOP, caller))

    async def costs_of(self, caller: Caller) -> ChildCosts:
        """Return what all sub-graphs of a firing have cost."""
        return await self._ask(_once(Needs.COSTS, caller))

    def hear(self, steps: Steps) -> None:
        """Take up what somebody asks for."""
        self.drive.begin(steps)

    async def _ask(self, steps: Generator[Request, Any, T]) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.drive.inbox.put((self, _tell(steps, answer)))
        return await answer

    def _see_through(self, call: Call) -> Generator[Request, Any, Child]:
        worker.current().clear_suspect(call.caller.fence)
        child: Child = yield Request(Needs.CHILDREN, call)
        return (yield from self._drive(child, with_cpu=True))

    def _look_again(self, child: Child) -> Generator[Request, Any, Child]:
        child = yield Request(Needs.STATES, child.id)
        # What its cpu lanes need was sent; should that be lost, reconcile finds it.
        return (yield from self._drive(child, with_cpu=False))

    def _drive(self, child: Child, *, with_cpu: bool) -> Generator[Request, Any, Child]:
        """Drive the lanes of a sub-graph that can run here, until none is left."""
        if not child.can_go_on or worker.current().is_closing:
            return child
        try:
            plan = plan_of(child.version_id)
        except ValueError as error:
            # A later release has published it: its workers will be found by reconcile.
            logger.warning("Sub-graph %s is left to others: %s", child.id, error)
            return child
        lanes = _Lanes(self.drive, child.id)
        done = ended_segments(child.id, plan, child.segments_done, mark=child.plan_mark, has_origins=False)
        lanes.take(compile(plan, done, lanes.limits()), with_cpu=with_cpu)
        if not lanes.count:
            return child
        yield Request(Needs.NEWS, lanes)
        child = yield Request(Needs.STATES, child.id)
        return child


class _Lanes(Route):
    """The lanes of one sub-graph on this thread, and where what follows from them goes: here too, except for what computes."""

    def __init__(self, drive: Drive, child_id: UUID) -> None:
        super().__init__(current)
        self.drive = drive
        self.child_id = child_id
        #: So many have not ended.
        self.count = 0

    def limits(self) -> Limits:
        """Return how wide work is spread: not at all, as nobody else takes a share of it."""
        return replace(launch.limits(), chunk=sys.maxsize)

    def send(self, execution_id: UUID, canvases: Iterable[Canvas]) -> None:
        """Take up what follows from a lane."""
        if worker.current().is_closing:
            launch.send(execution_id, canvases)
        else:
            self.take(canvases, with_cpu=True)

    def take(self, canvases: Iterable[Canvas], *, with_cpu: bool) -> None:
        """Begin the lanes that wait, and send those that compute. What comes after them is found when they have ended."""
        lanes = [replace(lane, covered=()) for canvas in canvases for lane in _first_lanes(canvas)]
        for lane in lanes:
            if lane.queue != CPU_QUEUE:
                self.count += 1
                self.drive.begin(self._counted(follow(Work(self.child_id, lane), self.drive.inbox, self)))
        if with_cpu:
            outbox.post((self.child_id, lane) for lane in lanes if lane.queue == CPU_QUEUE)

    def hear(self, news: Any) -> None:
        """Take in that the last one has ended."""

    def _counted(self, steps: Steps) -> Steps:
        try:
            yield from steps
        finally:
            self.count -= 1
            if not self.count:
                self.drive.inbox.put((self, None))


def _first_lanes(canvas: Canvas) -> Sequence[Lane]:
    if isinstance(canvas, Lane):
        return [canvas]
    return canvas.lanes[:1] if isinstance(canvas, Chain) else canvas.header


def _once(needs: Needs, value: Any) -> Generator[Request, Any, Any]:
    return (yield Request(needs, value))


def _tell(steps: Generator[Request, Any, T], answer: asyncio.Future[T]) -> Steps:
    """Carry out what was asked for, and hand the answer to the loop of whoever asked."""
    tell: Callable[[], None]
    try:
        tell = partial(_give, answer, (yield from steps))
    except Exception as error:  # noqa: BLE001 - raised again where it was asked for
        tell = partial(_refuse, answer, error)
    answer.get_loop().call_soon_threadsafe(tell)


def _give(answer: asyncio.Future[T], value: T) -> None:
    if not answer.done():
        answer.set_result(value)


def _refuse(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def _stop(callers: Sequence[Caller]) -> list[bool]:
    """Cancel what firings have started and what has not ended. Return for each whether all of it has."""
    unfinished = children.unfinished(callers)
    if told := [one for its in unfinished for one, status in its if status != Status.CANCELLING]:
        stopping.cancel_all(told)
        unfinished = children.unfinished(callers)
    return [not its for its in unfinished]


_starting = threading.Lock()


def current() -> SubGraphs:
    """Return the thread of this process that drives sub-graphs; the first call starts it."""
    with _starting:
        return _only()


@cache
def _only() -> SubGraphs:
    return SubGraphs()
