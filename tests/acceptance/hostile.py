"""Blocks that do not behave: they do not stop when they are told to, keep what others need, or end their process."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import AsyncIterator
from typing import Any

from blocks.sdk import Block, BlockCostConfig, BlockSchema, Placement
from tests.acceptance.probes import record
from tests.blocks import AnyOutput, bounded


class SpendInput(BlockSchema):
    input: Any = None
    seconds: float = 60.0


class Hostile(Block):
    """Does as its class says, for so many seconds."""

    name = "Hostile"
    description = "Does not behave."
    placement = Placement.IO
    input_schema, output_schema = SpendInput, AnyOutput

    async def execute(self, input_data: SpendInput) -> AsyncIterator[tuple[str, Any]]:
        """Write down that it began, then misbehave."""
        record(self.id, self.idempotency_key)
        await self.misbehave(input_data.seconds)
        yield "output", bounded(input_data.input)

    async def misbehave(self, seconds: float) -> None:
        raise NotImplementedError


class Spend(Hostile):
    """Waits, as it should, after it has used something."""

    id = "hostile.spend"
    cost_config = BlockCostConfig("token", 0.000001)

    async def misbehave(self, seconds: float) -> None:
        self.report_usage(input_tokens=3)
        await asyncio.sleep(seconds)


class Swallow(Hostile):
    """Does not let itself be cancelled, and reports more usage afterwards."""

    id = "hostile.swallow"

    async def misbehave(self, seconds: float) -> None:
        self.report_usage(input_tokens=3)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                await asyncio.sleep(until - time.monotonic())
            except asyncio.CancelledError:
                self.report_usage(input_tokens=1000)


class HoldLoop(Hostile):
    """Keeps the event loop to itself."""

    id = "hostile.hold-loop"

    async def misbehave(self, seconds: float) -> None:
        time.sleep(seconds)


class Compute(HoldLoop):
    """The same, as it says that it does."""

    id = "hostile.compute"
    placement = Placement.CPU


class HoldInterpreter(Hostile):
    """Keeps every thread of its process from running: a call of C that does not let go of the interpreter's lock."""

    id = "hostile.hold-interpreter"
    placement = Placement.CPU

    async def misbehave(self, seconds: float) -> None:
        ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))


class Spin(Hostile):
    """Says that it only computes, and never comes back."""

    id = "hostile.spin"
    placement = Placement.INLINE

    async def misbehave(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass


class Exit(Hostile):
    """Ends its process."""

    id = "hostile.exit"

    async def misbehave(self, seconds: float) -> None:
        os._exit(3)


class ExitComputing(Exit):
    id = "hostile.exit-computing"
    placement = Placement.CPU


HOSTILE: list[type[Block]] = [
    *[Spend, Swallow, HoldLoop, Compute, HoldInterpreter, Spin, Exit, ExitComputing],
]
