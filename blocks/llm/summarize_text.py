"""Making a text short."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from blocks.llm._asking import Ask, ask_model, read_prompt
from blocks.llm._errors import RETRY
from blocks.llm._usage import COST
from blocks.sdk import Block, BlockSchema, Example
from integrations.providers import ProviderName

#: It asks to copy, not to tell: a very small model invents what it tells. It gives no example either, whose words would be copied too.
INSTRUCTION = read_prompt("summarize", beside=__file__)
#: Without it, a very small model says the same words again and again.
FREQUENCY_PENALTY = 0.5


class SummarizeTextInput(BlockSchema):
    input: str = Field(min_length=1, description="The text.")
    model: str = Field(default="", description="The model's name; empty takes the platform's default.")
    max_tokens: int = Field(default=60, ge=16, le=4_000, description="How long the summary may get.")
    max_characters: int = Field(
        default=6_000, ge=200, le=1_000_000, description="How much of the text is read; small models can not hold more."
    )


class SummarizeTextOutput(BlockSchema):
    output: str = Field(description="The summary.")


class SummarizeTextBlock(Block):
    """Say in one or two sentences what a text is about."""

    id = "summarize-block"
    name = "Summarize"
    description = (
        "Lets a language model give the main point of a text in one or two sentences. A small model may be wrong."
    )
    credentials_required = (ProviderName.OPENAI,)
    cost_config = COST
    retry = RETRY
    input_schema, output_schema = SummarizeTextInput, SummarizeTextOutput
    always_yields = frozenset({"output"})
    examples = (
        Example(
            given={"input": "Tea is a drink made from leaves.", "model": "small"},
            answers=[
                {
                    "method": "POST",
                    "path": "/chat/completions",
                    "json": {
                        "choices": [
                            {"message": {"content": "Tea is made of leaves. It is"}, "finish_reason": "length"}
                        ],
                        "usage": {"prompt_tokens": 9, "completion_tokens": 8},
                    },
                }
            ],
            gives=[("output", "Tea is made of leaves.")],
        ),
    )

    async def execute(self, input_data: SummarizeTextInput) -> AsyncIterator[tuple[str, Any]]:
        text = input_data.input[: input_data.max_characters]
        ask = Ask(
            prompt=f"{text}\n\n{INSTRUCTION}",
            model=input_data.model,
            temperature=0.0,
            max_tokens=input_data.max_tokens,
            frequency_penalty=FREQUENCY_PENALTY,
        )
        reply = await ask_model(self, ask)
        yield "output", whole_sentences(reply.text) if reply.is_cut else reply.text.strip()


def whole_sentences(text: str) -> str:
    """Return `text` up to the end of its last whole sentence, or all of it if none ends."""
    end = max(text.rfind(f"{mark} ") for mark in ".!?")
    return text[: end + 1].strip() if end > 0 else text.strip()
