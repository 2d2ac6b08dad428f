"""From values to JSON text."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example, Placement


class DumpJsonInput(BlockSchema):
    value: Any = Field(description="Any value.")
    indent: int = Field(default=0, ge=0, le=8, description="How far to indent; 0 writes one line.")


class DumpJsonOutput(BlockSchema):
    output: str = Field(description="The value as JSON.")


class DumpJsonBlock(Block):
    """Write a value as JSON."""

    id = "dump-json-block"
    name = "Write JSON"
    description = "Writes a value as JSON text."
    placement = Placement.INLINE
    input_schema, output_schema = DumpJsonInput, DumpJsonOutput
    always_yields = frozenset({"output"})
    examples = (
        Example(given={"value": {"a": "ä"}}, gives=[("output", '{"a": "ä"}')]),
        Example(given={"value": [1], "indent": 2}, gives=[("output", "[\n  1\n]")]),
    )

    async def execute(self, input_data: DumpJsonInput) -> AsyncIterator[tuple[str, Any]]:
        yield "output", json.dumps(input_data.value, ensure_ascii=False, indent=input_data.indent or None)
