"""Cutting a text into pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example, Placement


class SplitTextInput(BlockSchema):
    text: str = Field(description="The text to cut.")
    separator: str = Field(default="\n", min_length=1, description="Where to cut it.")
    trim: bool = Field(default=True, description="Remove the space around each piece.")
    keep_empty: bool = Field(default=False, description="Keep pieces without text.")


class SplitTextOutput(BlockSchema):
    part: str = Field(description="Each piece in turn: one item per piece.")
    parts: list[str] = Field(description="All the pieces as one list.")
    count: int = Field(description="How many pieces there are.")


class SplitTextBlock(Block):
    """Cut a text into pieces and stream them."""

    id = "split-text-block"
    name = "Split text"
    description = "Cuts a text at a separator and sends the pieces on, one by one and as a list."
    placement = Placement.INLINE
    input_schema, output_schema = SplitTextInput, SplitTextOutput
    always_yields = frozenset({"parts", "count"})
    streams = frozenset({"part"})
    examples = (
        Example(
            given={"text": "a, b,,", "separator": ","},
            gives=[("part", "a"), ("part", "b"), ("parts", ["a", "b"]), ("count", 2)],
        ),
        Example(
            given={"text": "a- -b", "separator": "-", "trim": False, "keep_empty": True},
            gives=[("part", "a"), ("part", " "), ("part", "b"), ("parts", ["a", " ", "b"]), ("count", 3)],
        ),
        Example(given={"text": ""}, gives=[("parts", []), ("count", 0)]),
    )

    async def execute(self, input_data: SplitTextInput) -> AsyncIterator[tuple[str, Any]]:
        parts = input_data.text.split(input_data.separator)
        if input_data.trim:
            parts = [part.strip() for part in parts]
        if not input_data.keep_empty:
            parts = [part for part in parts if part]
        for part in parts:
            yield "part", part
        yield "parts", parts
        yield "count", len(parts)
