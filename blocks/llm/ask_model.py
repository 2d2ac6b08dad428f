"""Asking a language model anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.llm._client import COST, RETRY, Ask, ask_model
from blocks.sdk import Block, BlockSchema, Example
from integrations.providers import ProviderName


class AskModelInput(BlockSchema):
    prompt: str = Field(min_length=1, description="What to ask.")
    system: str = Field(default="", description="How the model is to behave.")
    model: str = Field(default="", description="The model's name; empty takes the platform's default.")
    temperature: float | None = Field(default=None, ge=0, le=2, description="0 is steady, higher is livelier.")
    max_tokens: int | None = Field(default=None, ge=1, le=200_000, description="How long the reply may get.")


class AskModelOutput(BlockSchema):
    response: str = Field(description="What the model replied.")
    usage: dict[str, int | str] = Field(description="The tokens it took: `input_tokens`, `output_tokens`, `model`.")


class AskModelBlock(Block):
    """Send a prompt to a language model."""

    id = "llm-chat-block"
    name = "Ask a model"
    description = "Sends a prompt to a language model and gives its reply."
    credentials_required = (ProviderName.OPENAI,)
    cost_config = COST
    retry = RETRY
    input_schema, output_schema = AskModelInput, AskModelOutput
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

    async def execute(self, input_data: AskModelInput) -> AsyncIterator[tuple[str, Any]]:
        reply = await ask_model(self, Ask(**input_data.model_dump()))
        yield "response", reply.text
        yield (
            "usage",
            {"input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens, "model": reply.model},
        )
