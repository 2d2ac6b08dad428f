"""The way out of a graph."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, BlockType, Example, Placement


class WriteOutputInput(BlockSchema):
    name: str = Field(
        default="output", min_length=1, max_length=100, description="The name of the output in the result."
    )
    input: Any = Field(description="The value to give out.")
    description: str = Field(default="", description="What it is, shown to whoever reads the result.")


class WriteOutputOutput(BlockSchema):
    output: Any = Field(description="The same value.")


class WriteOutputBlock(Block):
    """Make a value part of the execution's result."""

    id = "output-block"
    name = "Output"
    description = "A value that is part of the result."
    block_type = BlockType.OUTPUT
    placement = Placement.INLINE
    input_schema, output_schema = WriteOutputInput, WriteOutputOutput
    examples = (Example(given={"name": "digest", "input": ["a", "b"]}, gives=[("output", ["a", "b"])]),)

    async def execute(self, input_data: WriteOutputInput) -> AsyncIterator[tuple[str, Any]]:
        yield "output", input_data.input
