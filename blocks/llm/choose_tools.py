"""Letting a language model choose what is to be done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.llm._asking import ask_model
from blocks.llm._errors import RETRY
from blocks.llm._inputs import USAGE, AskingInput, Used, ask_of, sum_of
from blocks.llm._tools import Tool, checked, declared
from blocks.llm._usage import COST
from blocks.sdk import Block, BlockSchema, Example
from integrations.providers import ProviderName

CALL = {"id": "call-1", "name": "brew", "arguments": {"drink": "tea"}}
BREW = {
    "name": "brew",
    "parameters": {"type": "object", "properties": {"drink": {"type": "string"}}, "required": ["drink"]},
}


class ChooseToolsInput(AskingInput):
    tools: list[Tool] = Field(
        min_length=1,
        max_length=64,
        description="What the model may choose from: `name`, `description`, and `parameters` as a JSON schema.",
    )
    must_choose: bool = Field(default=False, description="Whether it has to choose at least one.")


class ChooseToolsOutput(BlockSchema):
    call: dict[str, Any] = Field(description="Each call in turn, as `id`, `name` and `arguments`: one item per call.")
    calls: list[dict[str, Any]] = Field(description="All of them.")
    response: str = Field(description="What the model said, if it said anything.")
    usage: Used = Field(description=USAGE)


class ChooseToolsBlock(Block):
    """Let a language model choose from tools; the graph calls them, or does not."""

    id = "llm-tools-block"
    name = "Choose tools"
    description = (
        "Lets a language model choose which of the declared tools to call, and with what. It calls none of them."
    )
    credentials_required = (ProviderName.OPENAI,)
    cost_config = COST
    retry = RETRY
    input_schema, output_schema = ChooseToolsInput, ChooseToolsOutput
    streams = frozenset({"call"})
    examples = (
        Example(
            given={"prompt": "Make me a tea.", "model": "small", "tools": [BREW]},
            answers=[
                {
                    "method": "POST",
                    "path": "/chat/completions",
                    "json": {
                        "choices": [
                            {
                                "message": {
                                    "content": None,
                                    "tool_calls": [
                                        {
                                            "id": "call-1",
                                            "type": "function",
                                            "function": {"name": "brew", "arguments": '{"drink": "tea"}'},
                                        }
                                    ],
                                },
                                "finish_reason": "tool_calls",
                            }
                        ],
                        "usage": {"prompt_tokens": 30, "completion_tokens": 8},
                    },
                }
            ],
            gives=[
                ("call", CALL),
                ("calls", [CALL]),
                ("usage", {"input_tokens": 30, "output_tokens": 8, "model": "small"}),
            ],
        ),
    )

    async def execute(self, input_data: ChooseToolsInput) -> AsyncIterator[tuple[str, Any]]:
        choice = "required" if input_data.must_choose else "auto"
        reply = await ask_model(self, ask_of(input_data, tools=declared(input_data.tools), tool_choice=choice))
        calls = checked(reply.calls, input_data.tools)
        for call in calls:
            yield "call", call
        yield "calls", calls
        if reply.text:
            yield "response", reply.text
        yield "usage", sum_of([reply])
