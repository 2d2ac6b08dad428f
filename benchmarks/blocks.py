"""The blocks of the measured graphs; workers load them by `AGENTPLATFORM_EXTRA_BLOCKS=benchmarks.blocks:BLOCKS`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.cases import FIBO_N, WAIT_S
from benchmarks.fibo import fibo
from blocks.sdk import Block, BlockSchema, Placement


class Passed(BlockSchema):
    """What is handed on."""

    input: int = 0


class Output(BlockSchema):
    """What was handed on."""

    output: int


class Noop(Block):
    """Pass on what came."""

    id = "bench.noop"
    name = "No-op"
    description = "Passes on what came."
    placement = Placement.INLINE
    input_schema = Passed
    output_schema = Output

    async def execute(self, input_data: Passed) -> AsyncIterator[tuple[str, Any]]:
        """Yield the input."""
        yield "output", input_data.input


class FiboInput(Passed):
    """What is handed on, and how much is computed on the way."""

    n: int = FIBO_N


class AddFibo(Block):
    """Pass on what came, plus a small computation."""

    id = "bench.fibo"
    name = "Fibonacci"
    description = "Adds a Fibonacci number, computed the slow way."
    placement = Placement.INLINE
    input_schema = FiboInput
    output_schema = Output

    async def execute(self, input_data: FiboInput) -> AsyncIterator[tuple[str, Any]]:
        """Yield the sum."""
        yield "output", input_data.input + fibo(input_data.n)


class ItemsInput(Passed):
    """How many items there are."""

    count: int


class ItemsOutput(BlockSchema):
    """One of them."""

    item: int


class Items(Block):
    """Stream numbers."""

    id = "bench.items"
    name = "Items"
    description = "Yields the numbers from 0."
    placement = Placement.INLINE
    input_schema = ItemsInput
    output_schema = ItemsOutput
    streams = frozenset({"item"})

    async def execute(self, input_data: ItemsInput) -> AsyncIterator[tuple[str, Any]]:
        """Yield each number."""
        for item in range(input_data.count):
            yield "item", item


class JoinInput(BlockSchema):
    """What the branches brought."""

    item: list[int]


class JoinOutput(BlockSchema):
    """How much that is."""

    count: int


class Join(Block):
    """Count what the branches brought."""

    id = "bench.join"
    name = "Join"
    description = "Waits for all items and counts them."
    placement = Placement.INLINE
    input_schema = JoinInput
    output_schema = JoinOutput
    gathers = "item"

    async def execute(self, input_data: JoinInput) -> AsyncIterator[tuple[str, Any]]:
        """Yield the count."""
        yield "count", len(input_data.item)


class WaitInput(Passed):
    """What is handed on, and how long that takes."""

    seconds: float = WAIT_S


class Wait(Block):
    """Pass on what came, after a wait."""

    id = "bench.wait"
    name = "Wait"
    description = "Passes on what came, after a wait."
    placement = Placement.IO
    input_schema = WaitInput
    output_schema = Output

    async def execute(self, input_data: WaitInput) -> AsyncIterator[tuple[str, Any]]:
        """Yield the input, late."""
        await asyncio.sleep(input_data.seconds)
        yield "output", input_data.input


BLOCKS = [Noop, AddFibo, Items, Join, Wait]
