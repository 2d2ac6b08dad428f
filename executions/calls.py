"""The sub-graphs that one attempt of a firing calls: on the event loop, beside its block."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError

from agentplatform.lib.errors import AppError
from blocks.sdk import BlockError, Placement
from blocks.sdk.sub_graph import SubGraph
from blocks.sdk.waiting import Suspended, WaitFor
from executions.batch import NO_CHILDREN, ChildCosts
from executions.begun import Begun
from executions.children import Call, Caller, Child
from executions.engine.status import Status
from executions.engine.waits import WaitKind

SHORTEST_LOOK_S, LONGEST_LOOK_S, GROWTH = 0.02, 1.0, 1.5
#: What is told to stop is about to end.
LONGEST_STOP_LOOK_S = 0.1

T = TypeVar("T")


class SubGraphs(Protocol):
    """Who starts and drives the sub-graphs of this process, and asks the database about them: never on the event loop."""

    async def see_through(self, call: Call) -> Child:
        """Start or find the sub-graph of a call, and do for it all that can be done here now."""
        ...

    async def look_again(self, child: Child) -> Child:
        """Do for a sub-graph what nobody does, and return where it stands."""
        ...

    async def stop(self, caller: Caller) -> bool:
        """Cancel what a firing has started and what has not ended. Return whether all of it has."""
        ...

    async def costs_of(self, caller: Caller) -> ChildCosts:
        """Return what all sub-graphs of a firing have cost."""
        ...


@dataclass(slots=True)
class Calls:
    """Numbers the calls of one attempt, waits for their ends, and adds up what they have cost."""

    caller: Caller
    #: Asked for only when it is needed: it begins a thread.
    sub_graphs: Callable[[], SubGraphs]
    #: Which wait of its firing the next one is.
    waits: int = 0
    _numbered: int = 0
    #: So many calls wait for their first answer.
    _asking: int = 0
    #: A call was broken off before it was answered: it may have started something.
    _is_unsure: bool = False
    _children: dict[UUID, Child] = field(default_factory=dict)
    _under_way: set[UUID] = field(default_factory=set)
    _pending: set[asyncio.Future[Any]] = field(default_factory=set)
    _is_closed: bool = False

    async def run(self, asked: SubGraph) -> Child:
        """Return the sub-graph of a call once it has ended, however it did.

        Raises:
            Suspended: it waits for something that no worker can hurry, as does all else that this firing waits for.
            BlockError: it can not be started.
        """
        call = self._call(asked)
        self._asking += 1
        try:
            child = await self._persistently(lambda: self.sub_graphs().see_through(call))
        except AppError as refused:
            raise BlockError(refused.message, code=refused.code, hint=refused.hint, path=refused.path) from None
        except BaseException:
            self._is_unsure = True
            raise
        finally:
            self._asking -= 1
        self._under_way.add(child.id)
        try:
            return await self._end_of(child)
        finally:
            self._under_way.discard(child.id)

    def let_go(self) -> None:
        """End the calls that the block has left behind."""
        self._is_closed = True
        for future in list(self._pending):
            future.cancel()

    @property
    def costs(self) -> ChildCosts:
        """Return what those have cost that ended under this attempt."""
        return _sum(child.costs for child in self._children.values() if child.is_final)

    async def close(self, *, go_on: bool) -> ChildCosts:
        """End the calls that the block has left behind, and return what all sub-graphs of the firing have cost.

        What has not ended is stopped, as nobody would take what it gives; unless the firing is to go on later, and with it its sub-graphs.
        """
        self.let_go()
        are_over = all(child.is_final for child in self._children.values())
        if are_over and not (self._asking or self._is_unsure or self.caller.has_past):
            return self.costs
        # Told to stop once more: what has not ended by now is not waited for.
        with suppress(asyncio.CancelledError):
            if not go_on:
                await self._stop()
        while True:
            try:
                return await self.sub_graphs().costs_of(self.caller)
            except (OperationalError, InterfaceError):
                await asyncio.sleep(LONGEST_LOOK_S)

    def _call(self, asked: SubGraph) -> Call:
        if asked.key is None:
            self._numbered += 1
        return Call(
            self.caller,
            key=str(self._numbered - 1) if asked.key is None else asked.key,
            is_named=asked.key is not None,
            graph_id=asked.graph_id,
            version_id=asked.version_id,
            inputs=asked.inputs,
            optional=asked.optional,
        )

    async def _end_of(self, child: Child) -> Child:
        pause_s = SHORTEST_LOOK_S
        while True:
            self._children[child.id] = child
            if child.is_final:
                return child
            if self._nothing_moves():
                key = f"child-{self.waits}"
                raise Suspended(WaitFor(WaitKind.CHILD, key, title="A sub-graph waits", child_id=str(child.id)))
            await self._asked(asyncio.sleep(pause_s))
            pause_s = min(pause_s * GROWTH, LONGEST_LOOK_S)
            child = await self._persistently(partial(self._look_again, child))

    async def _look_again(self, child: Child) -> Child:
        return await self.sub_graphs().look_again(child)

    def _nothing_moves(self) -> bool:
        """Say whether all that this firing waits for waits in its turn."""
        return not self._asking and all(self._children[one].status == Status.WAITING for one in self._under_way)

    async def _stop(self) -> None:
        """Stop what has not ended, and wait for its end: what it has used is known only then."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 2 * settings.AGENTPLATFORM_LEASE_S
        pause_s = SHORTEST_LOOK_S
        while loop.time() < deadline:
            with suppress(OperationalError, InterfaceError):
                if await self.sub_graphs().stop(self.caller):
                    return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * GROWTH, LONGEST_STOP_LOOK_S)

    async def _persistently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until the database answers. While it is away the heartbeat fails too, and whoever loses the firing is told so."""
        while True:
            try:
                return await self._asked(ask())
            except (OperationalError, InterfaceError):
                await self._asked(asyncio.sleep(LONGEST_LOOK_S))

    async def _asked(self, question: Awaitable[T]) -> T:
        """Wait for an answer, but not beyond the end of the attempt."""
        future = asyncio.ensure_future(question)
        if self._is_closed:
            future.cancel()
        self._pending.add(future)
        try:
            return await future
        finally:
            self._pending.discard(future)


def calls_of(begun: Begun) -> Calls:
    """Return the calls of the attempt of a firing that is under way.

    Raises:
        BlockError: this firing can not call any.
    """
    claim = begun.claim
    if claim is None or begun.sub_graphs is None or begun.node.block.placement is not Placement.IO:
        raise BlockError(
            "Only a block that waits can run a sub-graph.",
            code="SUB_GRAPH_NOT_ALLOWED",
            hint="Declare placement = Placement.IO.",
        )
    before = begun.course.before
    caller = Caller(
        execution_id=begun.execution_id,
        node_key=claim.node_key,
        path=claim.path,
        fence=claim.fence,
        owner_id=begun.family.owner_id,
        depth=begun.family.depth,
        failures=sum(bool(attempt["code"]) for attempt in before.history) if before else 0,
        has_past=may_have_called(begun),
    )
    return Calls(caller, begun.sub_graphs, waits=claim.waits)


def may_have_called(begun: Begun) -> bool:
    """Say whether a firing may have started sub-graphs before this attempt."""
    claim = begun.claim
    if claim is None or begun.sub_graphs is None or begun.node.block.placement is not Placement.IO:
        return False
    return claim.attempt > 1 or claim.waits > 0 or begun.course.has_called


def failure_of(child: Child) -> BlockError:
    """Return the error of a sub-graph that did not succeed, as its caller gets it."""
    error = child.error
    if child.status == Status.CANCELLED:
        return BlockError(
            f"The sub-graph {child.graph_name!r} was cancelled (execution {child.id}).",
            code="CHILD_CANCELLED",
            hint="Somebody has cancelled it; start it anew by trying this node again.",
        )
    place = f" at {child.error_node}" if child.error_node else ""
    return BlockError(
        f"The sub-graph {child.graph_name!r} failed{place}: {error['message']} (execution {child.id})",
        code=error["code"] or child.status,
        hint=error["hint"],
    )


def _sum(costs: Iterable[ChildCosts]) -> ChildCosts:
    total = NO_CHILDREN
    for one in costs:
        total = ChildCosts(
            total.microcredits + one.microcredits,
            total.input_tokens + one.input_tokens,
            total.output_tokens + one.output_tokens,
        )
    return total
