"""One entry of a dict."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockError, BlockSchema, Example, Placement


class GetKeyInput(BlockSchema):
    input: dict[str, Any] = Field(description="The dict.")
    key: str = Field(description="The key to look up.")
    default: Any = Field(
        default=None, description="What to give if there is no such key; without it, that is an error."
    )


class GetKeyOutput(BlockSchema):
    output: Any = Field(description="The value at the key.")


class GetKeyBlock(Block):
    """Look a key up in a dict."""

    id = "dict-get-block"
    name = "Get value"
    description = "Gives the value at one key of a dict."
    placement = Placement.INLINE
    input_schema, output_schema = GetKeyInput, GetKeyOutput
    examples = (
        Example(given={"input": {"a": 1}, "key": "a"}, gives=[("output", 1)]),
        Example(given={"input": {}, "key": "a", "default": None}, gives=[("output", None)]),
    )

    async def execute(self, input_data: GetKeyInput) -> AsyncIterator[tuple[str, Any]]:
        if input_data.key in input_data.input:
            yield "output", input_data.input[input_data.key]
        elif "default" in input_data.model_fields_set:
            yield "output", input_data.default
        else:
            raise BlockError(f"The dict has no key {input_data.key!r}.", code="NOT_FOUND", path="key")
