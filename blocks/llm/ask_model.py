"""Asking a language model anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.llm._asking import ask_model
from blocks.llm._errors import RETRY
from blocks.llm._inputs import USAGE, AskingInput, Used, ask_of, sum_of
from blocks.llm._usage import COST
from blocks.sdk import Block, BlockSchema, Example
from integrations.providers import ProviderName


class AskModelOutput(BlockSchema):
    response: str = Field(description="What the model replied.")
    usage: Used = Field(description=USAGE)


class AskModelBlock(Block):
    """Send a prompt to a language model."""

    id = "llm-chat-block"
    name = "Ask a model"
    description = "Sends a prompt to a language model and gives its reply."
    credentials_required = (ProviderName.OPENAI,)
    cost_config = COST
    retry = RETRY
    input_schema, output_schema = AskingInput, AskModelOutput
    always_yields = frozenset({"response", "usage"})
    examples = (
        Example(
            given={"prompt": "Name a drink.", "system": "One word.", "model": "small", "temperature": 0},
            answers=[
                {
                    "method": "POST",
                    "path": "/chat/completions",
                    "json": {
                        "choices": [{"message": {"role": "assistant", "content": "Tea"}, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 9, "completion_tokens": 1},
                    },
                }
            ],
            gives=[("response", "Tea"), ("usage", {"input_tokens": 9, "output_tokens": 1, "model": "small"})],
        ),
    )

    async def execute(self, input_data: AskingInput) -> AsyncIterator[tuple[str, Any]]:
        reply = await ask_model(self, ask_of(input_data))
        yield "response", reply.text
        yield "usage", sum_of([reply])
