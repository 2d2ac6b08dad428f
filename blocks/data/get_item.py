"""One item of a list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockError, BlockSchema, Example, Placement


class GetItemInput(BlockSchema):
    items: list[Any] = Field(description="The list.")
    index: int = Field(default=0, description="The place, from 0; -1 is the last.")
    default: Any = Field(
        default=None, description="What to give if there is no such place; without it, that is an error."
    )


class GetItemOutput(BlockSchema):
    output: Any = Field(description="The item.")


class GetItemBlock(Block):
    """Take one item out of a list."""

    id = "list-get-block"
    name = "Get item"
    description = "Gives the item at one place of a list."
    placement = Placement.INLINE
    input_schema, output_schema = GetItemInput, GetItemOutput
    examples = (
        Example(given={"items": ["a", "b"], "index": -1}, gives=[("output", "b")]),
        Example(given={"items": [], "index": 3, "default": "none"}, gives=[("output", "none")]),
    )

    async def execute(self, input_data: GetItemInput) -> AsyncIterator[tuple[str, Any]]:
        items, index = input_data.items, input_data.index
        if -len(items) <= index < len(items):
            yield "output", items[index]
        elif "default" in input_data.model_fields_set:
            yield "output", input_data.default
        else:
            raise BlockError(f"The list has {len(items)} items, none at {index}.", code="NOT_FOUND", path="index")
