"""Run graphs and nodes from async code: several at once with `asyncio.gather`, inside blocks and outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from blocks.sdk.sub_graph import SubGraph
from executions import children, outcomes, services
from executions.asking import patiently
from executions.calls import failure_of
from executions.context import UNDER_WAY
from executions.engine.status import Status
from executions.errors import ExecutionFailed, WaitsForItself, WaitTimedOut

SHORTEST_LOOK_S, LONGEST_LOOK_S, GROWTH = 0.005, 0.5, 1.5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """An execution that has succeeded."""

    id: UUID
    status: Status
    #: By name.
    outputs: dict[str, Any]
    cost_microcredits: int


class ExecutionManager:
    """Starts executions and waits for them without blocking the event loop.

    Inside a block, what it starts is a part of that block's firing: a sub-graph of its owner, found again when the block runs again, its
    cost added to the firing's. Outside it acts for `owner_id`; without one it takes whatever it is given to be allowed, so give one
    wherever an id comes from a user.
    """

    def __init__(self, *, owner_id: int | None = None, timeout_s: float = 3600.0) -> None:
        self.owner_id = owner_id
        #: So long one call waits outside a block; inside, the time limit of the block holds.
        self.timeout_s = timeout_s

    async def execute_graph(
        self,
        graph_id: str | UUID,
        inputs: Mapping[str, Any] | None = None,
        *,
        version_id: str | UUID | None = None,
        key: str | None = None,
    ) -> Result:
        """Run the newest published version of a graph, or the one that is named, and return how it ended.

        `key` says inside a block which call of its firing this is, as `Block.execute_subgraph` has it.

        Raises:
            ExecutionFailed: it did not succeed; with the code of its error.
            WaitTimedOut: it has not ended in time; it goes on.
            GraphNotFound, NotPublished, InputsInvalid: it can not be started; inside a block, a `BlockError` of the same code.
        """
        firing = UNDER_WAY.get()
        if firing is not None:
            call = SubGraph(str(graph_id), str(version_id or ""), inputs or {}, key=key)
            child = await firing.run_sub_graph(call)
            if child.status != Status.SUCCEEDED:
                failure = failure_of(child)
                raise ExecutionFailed(failure.message, code=failure.code, hint=failure.hint, execution_id=child.id)
            return Result(child.id, child.status, child.outputs, child.costs.microcredits)
        execution_id = await sync_to_async(self._start)(str(graph_id), str(version_id or ""), inputs)
        ended = await self._until(partial(outcomes.ended_execution, execution_id), execution_id)
        if ended.status != Status.SUCCEEDED:
            raise outcomes.failed(ended)
        return Result(ended.pk, Status(ended.status), ended.outputs, ended.cost_microcredits)

    async def execute_node(self, execution_id: str | UUID, node_key: str) -> dict[str, list[Any]]:
        """Wait until a node of an execution has ended at all its paths, and return what it gave.

        That is, by pin, the values of all its firings in the order of their paths; nothing where it was skipped. What nobody is at work
        on is launched again, so the node comes to its end also where messages were lost.

        Raises:
            ExecutionNotFound, NodeNotFound: there is no such node.
            ExecutionFailed: the node has failed and nothing in its graph deals with that, or the execution ended before the node could.
            WaitsForItself: the block that asks is itself what the node waits for.
            WaitTimedOut: it has not ended in time; it goes on.
        """
        firing = UNDER_WAY.get()
        owner_id = firing.begun.family.owner_id if firing else self.owner_id
        execution = await _asked(partial(outcomes.find, execution_id, node_key, owner_id=owner_id))
        if firing:
            here = firing.begun.execution_id, firing.begun.node.key
            if await _asked(partial(outcomes.waits_for, execution, node_key, here)):
                raise WaitsForItself(f"{node_key} can not end before {here[1]} does.")
        return await self._until(
            partial(outcomes.outputs_of_node, execution.pk, node_key), execution.pk, is_bounded=firing is None
        )

    def _start(self, graph_id: str, version_id: str, inputs: Mapping[str, Any] | None) -> UUID:
        owner_id = self.owner_id
        if owner_id is None:
            owner_id = children.owner_of(graph_id)
        _, version = children.version_of(owner_id, graph_id=graph_id, version_id=version_id)
        return services.start(version_id=version, owner_id=owner_id, inputs=inputs).pk

    async def _until(self, ask: Callable[[], T | None], execution_id: UUID, *, is_bounded: bool = True) -> T:
        """Ask with growing pauses until there is an answer, on a thread; and see to it that the execution goes on."""
        begun_at = relaunched_at = time.monotonic()
        pause_s = SHORTEST_LOOK_S
        while (answer := await _asked(ask)) is None:
            if is_bounded and time.monotonic() - begun_at > self.timeout_s:
                raise WaitTimedOut(f"Execution {execution_id} goes on after {self.timeout_s:g} s.")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * GROWTH, LONGEST_LOOK_S)
            if time.monotonic() - relaunched_at > settings.AGENTPLATFORM_RECONCILE_S:
                await _asked(partial(outcomes.relaunch_if_idle, execution_id))
                relaunched_at = time.monotonic()
        return answer


async def _asked(ask: Callable[[], T]) -> T:
    """Ask on a thread, and patiently: what is waited for goes on while the database is away for a moment."""
    return await patiently(lambda: sync_to_async(_with_connection)(ask))


def _with_connection(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except (OperationalError, InterfaceError):
        # The next try opens another.
        connection.close()
        raise
