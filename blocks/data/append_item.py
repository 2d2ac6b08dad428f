"""A list with one item more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example, Placement


class AppendItemInput(BlockSchema):
    items: list[Any] = Field(default_factory=list, description="The list.")
    item: Any = Field(description="What to add at its end.")


class AppendItemOutput(BlockSchema):
    output: list[Any] = Field(description="A new list with the item at its end.")


class AppendItemBlock(Block):
    """Add one item to the end of a list."""

    id = "list-append-block"
    name = "Append item"
    description = "Gives a list with one more item at its end."
    placement = Placement.INLINE
    input_schema, output_schema = AppendItemInput, AppendItemOutput
    examples = (
        Example(given={"items": ["a"], "item": "b"}, gives=[("output", ["a", "b"])]),
        Example(given={"item": "a"}, gives=[("output", ["a"])]),
    )

    async def execute(self, input_data: AppendItemInput) -> AsyncIterator[tuple[str, Any]]:
        yield "output", [*input_data.items, input_data.item]
