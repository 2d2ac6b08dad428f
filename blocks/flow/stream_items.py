"""Doing the same for each item of a list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example, Placement


class StreamItemsInput(BlockSchema):
    items: list[Any] | dict[str, Any] = Field(description="A list, or a dict whose values are the items.")


class StreamItemsOutput(BlockSchema):
    item: Any = Field(description="Each item in turn.")
    index: int = Field(description="The place of each item, from 0.")
    key: str | int = Field(description="The key of each item; its place, if the items are a list.")
    count: int = Field(description="How many items there are.")


class StreamItemsBlock(Block):
    """Send the items of a list on, one by one: what follows runs once for each."""

    id = "for-each-block"
    name = "For each"
    description = "Sends each item of a list on its own; what follows runs once for each, at the same time."
    placement = Placement.INLINE
    input_schema, output_schema = StreamItemsInput, StreamItemsOutput
    streams = frozenset({"item", "index", "key"})
    examples = (
        Example(
            given={"items": ["a", "b"]},
            gives=[("item", "a"), ("index", 0), ("key", 0), ("item", "b"), ("index", 1), ("key", 1), ("count", 2)],
        ),
        Example(given={"items": {"x": 1}}, gives=[("item", 1), ("index", 0), ("key", "x"), ("count", 1)]),
        Example(given={"items": []}, gives=[("count", 0)]),
    )

    async def execute(self, input_data: StreamItemsInput) -> AsyncIterator[tuple[str, Any]]:
        items = input_data.items
        pairs = items.items() if isinstance(items, dict) else enumerate(items)
        for index, (key, item) in enumerate(pairs):
            yield "item", item
            yield "index", index
            yield "key", key
        yield "count", len(items)
