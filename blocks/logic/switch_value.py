"""Going one of several ways."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.sdk import BlockSchema, BranchingBlock, Example

MAX_CASES = 8


class SwitchValueInput(BlockSchema):
    value: Any = Field(description="The value that decides.")
    cases: list[str] = Field(
        max_length=MAX_CASES, description="Up to eight texts; the first that equals the value wins."
    )
    input: Any = Field(default=None, description="What to send on; else the value itself is sent.")


class SwitchValueOutput(BlockSchema):
    case_0: Any = Field(description="If the first case fits.")
    case_1: Any = Field(description="If the second case fits.")
    case_2: Any = Field(description="If the third case fits.")
    case_3: Any = Field(description="If the fourth case fits.")
    case_4: Any = Field(description="If the fifth case fits.")
    case_5: Any = Field(description="If the sixth case fits.")
    case_6: Any = Field(description="If the seventh case fits.")
    case_7: Any = Field(description="If the eighth case fits.")
    default: Any = Field(description="If no case fits.")


class SwitchValueBlock(BranchingBlock):
    """Take the way that a value names."""

    id = "switch-block"
    name = "Switch"
    description = "Compares a value with up to eight cases and goes on at the one that fits, else at `default`."
    input_schema, output_schema = SwitchValueInput, SwitchValueOutput
    examples = (
        Example(given={"value": "b", "cases": ["a", "b"]}, gives=[("case_1", "b")]),
        Example(given={"value": True, "cases": ["true"], "input": "go"}, gives=[("case_0", "go")]),
        Example(given={"value": "c", "cases": ["a", "b"]}, gives=[("default", "c")]),
    )

    async def execute(self, input_data: SwitchValueInput) -> AsyncIterator[tuple[str, Any]]:
        value = input_data.value
        text = value if isinstance(value, str) else json.dumps(value)
        sent = input_data.input if "input" in input_data.model_fields_set else value
        yield f"case_{input_data.cases.index(text)}" if text in input_data.cases else "default", sent
