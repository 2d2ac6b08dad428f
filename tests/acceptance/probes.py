"""Blocks whose effect on the outside can be counted; workers load them by `AGENTPLATFORM_EXTRA_BLOCKS`."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

from blocks.sdk import Block, BlockCostConfig, BlockError, BlockSchema, Effects, Placement
from executions.manager import ExecutionManager
from tests.blocks import AnyOutput, bounded

#: The file to which every effect is written, one line each.
EFFECTS_FILE = "AGENTPLATFORM_TEST_EFFECTS"


class ActInput(BlockSchema):
    input: Any = None
    seconds: float = 0.0
    fails: bool = False


class Act(Block):
    """Has its effect, and takes its time before it says so."""

    id = "probe.act"
    name = "Act"
    description = "Writes a line, waits, hands its input on."
    placement = Placement.IO
    effects = Effects.IDEMPOTENT
    input_schema, output_schema = ActInput, AnyOutput

    async def execute(self, input_data: ActInput) -> AsyncIterator[tuple[str, Any]]:
        """Write down that it happened, then wait."""
        record(self.id, self.idempotency_key)
        await asyncio.sleep(input_data.seconds)
        if input_data.fails:
            raise BlockError("As it was told.", code="PROBE_FAILED")
        yield "output", bounded(input_data.input)


class ActOnce(Act):
    id = "probe.act-once"
    effects = Effects.AT_MOST_ONCE


class Charge(Act):
    """Costs a thousandth of a credit each time it ends."""

    id = "probe.charge"
    cost_config = BlockCostConfig(cost_type="run", cost_per_unit=Decimal("0.001"))


class Compute(Act):
    """Keeps its process busy, as a block that computes does."""

    id = "probe.compute"
    placement = Placement.CPU

    async def execute(self, input_data: ActInput) -> AsyncIterator[tuple[str, Any]]:
        """Write down that it happened, then block the process."""
        record(self.id, self.idempotency_key)
        time.sleep(input_data.seconds)
        yield "output", bounded(input_data.input)


class ManageInput(BlockSchema):
    graph_id: str
    count: int = 3


class Manage(Block):
    """Runs a graph several times at once, as code outside a block does."""

    id = "probe.manage"
    name = "Manage"
    description = "Runs a graph several times."
    input_schema, output_schema = ManageInput, AnyOutput

    async def execute(self, input_data: ManageInput) -> AsyncIterator[tuple[str, Any]]:
        """Yield what all of them gave."""
        manager = ExecutionManager()
        results = await asyncio.gather(
            *[manager.execute_graph(input_data.graph_id, {"item": number}) for number in range(input_data.count)]
        )
        yield "output", [result.outputs for result in results]


PROBES: list[type[Block]] = [Act, ActOnce, Charge, Compute, Manage]


def record(block_id: str, idempotency_key: str) -> None:
    """Append one effect so that no kill can take it back."""
    line = json.dumps({"block": block_id, "key": idempotency_key, "pid": os.getpid(), "at": time.time()}) + "\n"
    file = os.open(os.environ[EFFECTS_FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
        os.fsync(file)
    finally:
        os.close(file)
