"""Waiting a while."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example
from blocks.sdk.waiting import LONGEST_WAIT_S


class WaitSecondsInput(BlockSchema):
    input: Any = Field(default=None, description="The value to hand on afterwards.")
    seconds: float = Field(default=1.0, ge=0, le=LONGEST_WAIT_S, description="How long to wait, a year at most.")


class WaitSecondsOutput(BlockSchema):
    output: Any = Field(description="The same value.")


class WaitSecondsBlock(Block):
    """Hand a value on after a while."""

    id = "delay-block"
    name = "Delay"
    description = (
        "Waits for seconds or for months and hands its input on. What is longer than half a minute holds no worker."
    )
    input_schema, output_schema = WaitSecondsInput, WaitSecondsOutput
    examples = (Example(given={"input": "a", "seconds": 0.01}, gives=[("output", "a")]),)

    async def execute(self, input_data: WaitSecondsInput) -> AsyncIterator[tuple[str, Any]]:
        await self.wait_for(input_data.seconds)
        yield "output", input_data.input
