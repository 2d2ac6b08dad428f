"""Several dicts made one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example, Placement


class MergeDictsInput(BlockSchema):
    dicts: list[dict[str, Any]] = Field(description="The dicts; where two have the same key, the later one wins.")


class MergeDictsOutput(BlockSchema):
    output: dict[str, Any] = Field(description="One dict with all their entries.")


class MergeDictsBlock(Block):
    """Put the entries of several dicts into one."""

    id = "dict-merge-block"
    name = "Merge dicts"
    description = "Gives one dict with the entries of several."
    placement = Placement.INLINE
    input_schema, output_schema = MergeDictsInput, MergeDictsOutput
    always_yields = frozenset({"output"})
    examples = (Example(given={"dicts": [{"a": 1, "b": 1}, {"b": 2}]}, gives=[("output", {"a": 1, "b": 2})]),)

    async def execute(self, input_data: MergeDictsInput) -> AsyncIterator[tuple[str, Any]]:
        yield "output", {key: value for one in input_data.dicts for key, value in one.items()}
