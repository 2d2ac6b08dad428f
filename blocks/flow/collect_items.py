"""Making one list of many items again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example, Placement


class CollectItemsInput(BlockSchema):
    item: list[Any] = Field(description="Link the items here; they are waited for and arrive as one list.")


class CollectItemsOutput(BlockSchema):
    items: list[Any] = Field(description="The items, in order.")
    count: int = Field(description="How many items there are.")


class CollectItemsBlock(Block):
    """Wait for all items of a stream and go on once, with their list."""

    id = "collect-block"
    name = "Collect"
    description = "Waits for all items of a stream and sends them on as one list, in order."
    placement = Placement.INLINE
    input_schema, output_schema = CollectItemsInput, CollectItemsOutput
    gathers = "item"
    examples = (Example(given={"item": ["a", "b"]}, gives=[("items", ["a", "b"]), ("count", 2)]),)

    async def execute(self, input_data: CollectItemsInput) -> AsyncIterator[tuple[str, Any]]:
        yield "items", input_data.item
        yield "count", len(input_data.item)
