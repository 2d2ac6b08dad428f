"""How long a list is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example, Placement


class CountItemsInput(BlockSchema):
    items: list[Any] | dict[str, Any] = Field(description="The list, or the dict.")


class CountItemsOutput(BlockSchema):
    output: int = Field(description="How many items it has.")


class CountItemsBlock(Block):
    """Count the items of a list."""

    id = "list-length-block"
    name = "Count items"
    description = "Gives the number of items of a list or a dict."
    placement = Placement.INLINE
    input_schema, output_schema = CountItemsInput, CountItemsOutput
    always_yields = frozenset({"output"})
    examples = (
        Example(given={"items": ["a", "b"]}, gives=[("output", 2)]),
        Example(given={"items": {}}, gives=[("output", 0)]),
    )

    async def execute(self, input_data: CountItemsInput) -> AsyncIterator[tuple[str, Any]]:
        yield "output", len(input_data.items)
