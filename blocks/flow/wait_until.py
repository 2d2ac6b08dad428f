"""Waiting for a moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import AwareDatetime, Field

from blocks.sdk import Block, BlockSchema, Example


class WaitUntilInput(BlockSchema):
    input: Any = Field(default=None, description="The value to hand on afterwards.")
    moment: AwareDatetime = Field(
        description="Until when to wait, with a time zone: `2027-01-01T09:00:00+01:00`. What has passed is not waited for."
    )


class WaitUntilOutput(BlockSchema):
    output: Any = Field(description="The same value.")


class WaitUntilBlock(Block):
    """Hand a value on at a moment."""

    id = "wait-until-block"
    name = "Wait until"
    description = "Waits until a moment, at most a year away, and hands its input on. No worker is held meanwhile."
    input_schema, output_schema = WaitUntilInput, WaitUntilOutput
    examples = (
        Example(given={"input": "a", "moment": "2020-01-01T00:00:00Z"}, gives=[("output", "a")]),
        Example(given={"input": "a", "moment": "2020-01-01T09:00:00+01:00"}, gives=[("output", "a")]),
    )

    async def execute(self, input_data: WaitUntilInput) -> AsyncIterator[tuple[str, Any]]:
        await self.wait_until(input_data.moment)
        yield "output", input_data.input
