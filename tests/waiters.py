"""A block that waits as it is told, and what drives its executions; workers load it by `AGENTPLATFORM_EXTRA_BLOCKS`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from django.db import connection
from pydantic import BaseModel, Field, field_validator

from blocks import registry
from blocks.sdk import Block, BlockCostConfig, BlockSchema, Placement
from executions import launch, runner
from executions.engine.compile import Canvas, Chord, Lane, compile
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import NodeStatus
from executions.engine.waits import WaitKind
from executions.messages import Work
from executions.models import Execution, Wait
from executions.plans import plan_of
from graphs.models import GraphVersion
from tests.blocks import AnyOutput, facts_of, node
from tests.factories import make_node_execution, make_published

#: How often each firing has begun in this process, by its idempotency key.
BEGUN: dict[str, int] = {}


class Amount(BaseModel):
    amount: int = Field(ge=0)
    note: str = ""

    @field_validator("amount")
    @classmethod
    def is_even(cls, amount: int) -> int:
        """Refuse what JSON schema can not refuse."""
        if amount == 13:
            raise ValueError("not this one")
        return amount


class WaiterInput(BlockSchema):
    input: Any = None
    #: In order: `{"seconds": 60}`, `{"approval": {…}}`, `{"event": {…}}`; `"form": true` asks for an amount.
    steps: list[dict[str, Any]]


class Waiter(Block):
    """Waits step by step, and gives the list of what came."""

    id = "test.waiter"
    name = "Wait"
    description = "Waits as it is told."
    placement = Placement.IO
    cost_config = BlockCostConfig(cost_type="token", cost_per_unit=0.000005)
    input_schema, output_schema = WaiterInput, AnyOutput

    async def execute(self, input_data: WaiterInput) -> AsyncIterator[tuple[str, Any]]:
        """Count that it began, then wait."""
        BEGUN[self.idempotency_key] = BEGUN.get(self.idempotency_key, 0) + 1
        self.report_usage(input_tokens=10)
        yield "output", [await self._step(**step) for step in input_data.steps]

    async def _step(self, seconds: float = 0.0, approval: Any = None, event: Any = None, form: bool = False) -> Any:
        if approval is not None:
            said = asdict(await self.ask_approval(form=Amount if form else None, **approval))
            return said | {"answer": said["answer"].model_dump() if form and said["answer"] else said["answer"]}
        if event is not None:
            return await self.wait_for_event(**event)
        return await self.wait_for(seconds)


class InlineWaiter(Waiter):
    id = "test.waiter-inline"
    placement = Placement.INLINE


class CpuWaiter(Waiter):
    id = "test.waiter-cpu"
    placement = Placement.CPU


class GroupWaiter(Waiter):
    id = "test.waiter-group"

    async def execute(self, input_data: WaiterInput) -> AsyncIterator[tuple[str, Any]]:
        """Begin all waits at once."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._step(**step)) for step in input_data.steps]
        yield "output", [task.result() for task in tasks]


class PaidByUse(Waiter):
    id = "test.waiter-paid-by-use"
    cost_config = BlockCostConfig(cost_type="run", cost_per_unit=0.000007)


WAITERS: list[type[Block]] = [Waiter, InlineWaiter, CpuWaiter, GroupWaiter, PaidByUse]


def waiter(key: str, *steps: dict[str, Any], block: type[Block] = Waiter, **fields: Any) -> NodeSpec:
    """Return a node that waits for these."""
    return NodeSpec(key, block.id, {"steps": list(steps)}, block=facts_of(block), **fields)


def waiting_graph(*steps: dict[str, Any], owner: Any = None, **fields: Any) -> GraphVersion:
    """Return a graph of one node that waits, and an output."""
    registry.register(*WAITERS)
    nodes = [waiter("ask", *steps, **fields), node("out", "test.output", name="came")]
    return make_published(nodes, [LinkSpec("ask", "output", "out", "input")], owner=owner)


def work_off(execution: Execution, *, only: str = "") -> Execution:
    """Run what can run of an execution, or what of it is on one queue, on a thread as a worker does. Return how it stands then."""
    execution.refresh_from_db()
    canvases = compile(plan_of(execution.version_id), execution.segments_done, launch.limits())
    # What is covered comes too early, which does no harm, or just in time.
    lanes = [lane for canvas in canvases for lane in _lanes_of(canvas) if only in ("", lane.queue)]

    def drive() -> None:
        try:
            for lane in lanes:
                runner.run_lanes([Work(execution.pk, lane)])
        finally:
            connection.close()

    thread = threading.Thread(target=drive, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "The lane waits for ever."
    execution.refresh_from_db()
    return execution


def _lanes_of(canvas: Canvas) -> list[Lane]:
    if isinstance(canvas, Lane):
        return [canvas]
    return [*canvas.header, canvas.body] if isinstance(canvas, Chord) else list(canvas.lanes)


def make_wait(execution: Execution, node_key: str = "only", **fields: Any) -> Wait:
    """Return the row of a wait, by default for the owner's approval, and that of its firing."""
    path = fields.setdefault("item_path", [])
    make_node_execution(execution, node_key, status=NodeStatus.WAITING, item_path=path, waits=1)
    fields = {"kind": WaitKind.APPROVAL, "call_key": "wait-0", "title": "Send it?", "timeout_action": "fail"} | fields
    return Wait.objects.create(execution_id=execution.pk, owner_id=execution.owner_id, node_key=node_key, **fields)


def wait_of(execution: Execution) -> Wait:
    """Return the one open wait of an execution."""
    return Wait.objects.open().get(execution_id=execution.pk)
