"""The way into a graph."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import Field

from blocks.sdk import Block, BlockError, BlockSchema, BlockType, Example, Placement

KINDS: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "number": (int, float),
    "boolean": bool,
    "list": list,
    "object": dict,
}


class ReadInputInput(BlockSchema):
    name: str = Field(
        min_length=1, max_length=100, description="The name of the input, as whoever starts the graph gives it."
    )
    default: Any = Field(default=None, description="The value if none is given.")
    description: str = Field(default="", description="What it is for, shown to whoever starts the graph.")
    type: Literal["any", "text", "number", "boolean", "list", "object"] = Field(
        default="any", description="What kind of value is accepted."
    )
    value: Any = Field(default=None, description="Filled in by the platform with what was given.")


class ReadInputOutput(BlockSchema):
    output: Any = Field(description="The value given, else the default.")


class ReadInputBlock(Block):
    """Hand on what the graph was started with."""

    id = "input-block"
    name = "Input"
    description = "A value that is given when the graph is started."
    block_type = BlockType.INPUT
    placement = Placement.INLINE
    input_schema, output_schema = ReadInputInput, ReadInputOutput
    examples = (
        Example(given={"name": "topic", "value": "tea"}, gives=[("output", "tea")]),
        Example(given={"name": "count", "type": "number", "default": 3}, gives=[("output", 3)]),
        Example(given={"name": "topic", "default": "tea", "value": None}, gives=[("output", None)]),
    )

    async def execute(self, input_data: ReadInputInput) -> AsyncIterator[tuple[str, Any]]:
        is_given = "value" in input_data.model_fields_set
        value = input_data.value if is_given else input_data.default
        if is_given and not _fits(value, input_data.type):
            raise BlockError(
                f"The input {input_data.name!r} must be of type {input_data.type}, not {type(value).__name__}.",
                code="INPUT_INVALID",
                path=input_data.name,
            )
        yield "output", value


def _fits(value: Any, kind: str) -> bool:
    if kind == "any":
        return True
    # To Python, True and False are numbers too.
    return isinstance(value, KINDS[kind]) and not (kind == "number" and isinstance(value, bool))
