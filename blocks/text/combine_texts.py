"""Putting texts together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example, Placement


class CombineTextsInput(BlockSchema):
    texts: list[str] = Field(description="The texts, in order.")
    separator: str = Field(default="\n", description="What stands between two of them.")


class CombineTextsOutput(BlockSchema):
    output: str = Field(description="All of them as one text.")


class CombineTextsBlock(Block):
    """Join texts to one."""

    id = "combine-text-block"
    name = "Combine texts"
    description = "Joins a list of texts with a separator."
    placement = Placement.INLINE
    input_schema, output_schema = CombineTextsInput, CombineTextsOutput
    always_yields = frozenset({"output"})
    examples = (
        Example(given={"texts": ["a", "b"], "separator": ", "}, gives=[("output", "a, b")]),
        Example(given={"texts": []}, gives=[("output", "")]),
    )

    async def execute(self, input_data: CombineTextsInput) -> AsyncIterator[tuple[str, Any]]:
        yield "output", input_data.separator.join(input_data.texts)
