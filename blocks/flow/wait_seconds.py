"""Waiting a short while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example


class WaitSecondsInput(BlockSchema):
    input: Any = Field(default=None, description="The value to hand on afterwards.")
    seconds: float = Field(default=1.0, ge=0, le=30, description="How long to wait, at most 30.")


class WaitSecondsOutput(BlockSchema):
    output: Any = Field(description="The same value.")


class WaitSecondsBlock(Block):
    """Hand a value on after a while."""

    id = "delay-block"
    name = "Delay"
    description = "Waits up to half a minute and hands its input on."
    input_schema, output_schema = WaitSecondsInput, WaitSecondsOutput
    examples = (Example(given={"input": "a", "seconds": 0.01}, gives=[("output", "a")]),)

    async def execute(self, input_data: WaitSecondsInput) -> AsyncIterator[tuple[str, Any]]:
        await asyncio.sleep(input_data.seconds)
        yield "output", input_data.input
