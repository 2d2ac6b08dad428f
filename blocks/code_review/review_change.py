"""Judging a change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.code_review._reference import from_header, with_header
from blocks.llm._asking import Ask, ask_model, read_prompt
from blocks.llm._errors import RETRY
from blocks.llm._usage import COST
from blocks.sdk import Block, BlockSchema, Example
from integrations.providers import ProviderName

SYSTEM = read_prompt("review", beside=__file__)


class ReviewChangeInput(BlockSchema):
    input: str = Field(min_length=1, description="The change, as a diff.")
    model: str = Field(default="", description="The model's name; empty takes the platform's default.")
    max_tokens: int = Field(default=1_000, ge=50, le=20_000, description="How long the review may get.")


class ReviewChangeOutput(BlockSchema):
    output: str = Field(description="The review: a first line that names the change, then what the model found.")


class ReviewChangeBlock(Block):
    """Let a model review a change of code."""

    id = "review-block"
    name = "Review change"
    description = "Lets a language model look for problems in a diff."
    credentials_required = (ProviderName.OPENAI,)
    cost_config = COST
    retry = RETRY
    input_schema, output_schema = ReviewChangeInput, ReviewChangeOutput
    examples = (
        Example(
            given={"input": "Change of ann/tea#7\n\n+++ b/cup", "model": "small"},
            answers=[
                {
                    "method": "POST",
                    "path": "/chat/completions",
                    "json": {
                        "choices": [{"message": {"content": " It is fine. "}, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 9, "completion_tokens": 3},
                    },
                }
            ],
            gives=[("output", "Review of ann/tea#7\n\nIt is fine.")],
        ),
    )

    async def execute(self, input_data: ReviewChangeInput) -> AsyncIterator[tuple[str, Any]]:
        ask = Ask(
            prompt=input_data.input,
            system=SYSTEM,
            model=input_data.model,
            temperature=0.0,
            max_tokens=input_data.max_tokens,
        )
        reply = await ask_model(self, ask)
        # The first line is always ours: a diff that talks the model into something can not choose where it is posted.
        yield "output", with_header("Review", from_header("Change", input_data.input), reply.text.strip())
