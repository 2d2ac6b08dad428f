"""A value that is always the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example, Placement


class GiveConstantInput(BlockSchema):
    value: Any = Field(description="The value.")


class GiveConstantOutput(BlockSchema):
    output: Any = Field(description="The same value.")


class GiveConstantBlock(Block):
    """Give one value to several nodes."""

    id = "constant-block"
    name = "Constant"
    description = "One value, kept in one place, for several nodes."
    placement = Placement.INLINE
    input_schema, output_schema = GiveConstantInput, GiveConstantOutput
    always_yields = frozenset({"output"})
    examples = (Example(given={"value": {"a": 1}}, gives=[("output", {"a": 1})]),)

    async def execute(self, input_data: GiveConstantInput) -> AsyncIterator[tuple[str, Any]]:
        yield "output", input_data.value
