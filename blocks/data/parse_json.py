"""From JSON text to values."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, NoReturn

from pydantic import Field

from blocks.sdk import Block, BlockError, BlockSchema, Example, Placement

FENCE = "```"


class ParseJsonInput(BlockSchema):
    text: str = Field(max_length=5_000_000, description="JSON; a Markdown fence around it is taken off.")


class ParseJsonOutput(BlockSchema):
    output: Any = Field(description="The value.")


class ParseJsonBlock(Block):
    """Read a JSON text."""

    id = "parse-json-block"
    name = "Parse JSON"
    description = "Reads a JSON text and gives its value."
    placement = Placement.INLINE
    input_schema, output_schema = ParseJsonInput, ParseJsonOutput
    examples = (
        Example(given={"text": '{"a": [1, null]}'}, gives=[("output", {"a": [1, None]})]),
        Example(given={"text": "```json\n[1]\n```"}, gives=[("output", [1])]),
    )

    async def execute(self, input_data: ParseJsonInput) -> AsyncIterator[tuple[str, Any]]:
        try:
            value = json.loads(_without_fence(input_data.text), parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            told = str(error) if isinstance(error, ValueError) else "It is nested too deeply"
            raise BlockError(f"The text is not JSON: {told}.", code="JSON_INVALID", path="text") from None
        yield "output", value


def _without_fence(text: str) -> str:
    """Take off the fence that language models like to put around what they write."""
    text = text.strip()
    if not (text.startswith(FENCE) and text.endswith(FENCE)):
        return text
    _, _, inside = text.removesuffix(FENCE).partition("\n")
    return inside


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON knows")
