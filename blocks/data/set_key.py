"""A dict with one entry changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockSchema, Example, Placement


class SetKeyInput(BlockSchema):
    input: dict[str, Any] = Field(default_factory=dict, description="The dict.")
    key: str = Field(description="The key to set.")
    value: Any = Field(description="The value to put there.")


class SetKeyOutput(BlockSchema):
    output: dict[str, Any] = Field(description="A new dict with the value at the key.")


class SetKeyBlock(Block):
    """Put a value at a key of a dict."""

    id = "dict-set-block"
    name = "Set value"
    description = "Gives a dict with one value added or replaced."
    placement = Placement.INLINE
    input_schema, output_schema = SetKeyInput, SetKeyOutput
    examples = (
        Example(given={"input": {"a": 1}, "key": "b", "value": 2}, gives=[("output", {"a": 1, "b": 2})]),
        Example(given={"key": "a", "value": 1}, gives=[("output", {"a": 1})]),
    )

    async def execute(self, input_data: SetKeyInput) -> AsyncIterator[tuple[str, Any]]:
        yield "output", {**input_data.input, input_data.key: input_data.value}
