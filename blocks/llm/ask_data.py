"""Asking a language model for data of a given form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from pydantic import Field

from blocks.llm._asking import ask_model
from blocks.llm._errors import RETRY
from blocks.llm._inputs import USAGE, AskingInput, Used, ask_of, sum_of
from blocks.llm._schemas import JsonSchema, read
from blocks.llm._usage import COST
from blocks.sdk import Block, BlockError, BlockSchema, Example
from integrations.providers import ProviderName

#: Of a reply that did not fit, what the model is shown again.
MAX_SHOWN = 20_000
SCHEMA = {"type": "object", "properties": {"drink": {"type": "string"}}, "required": ["drink"]}


class AskDataInput(AskingInput):
    json_schema: JsonSchema = Field(description="What the data has to look like, as a JSON schema.")


class AskDataOutput(BlockSchema):
    data: Any = Field(description="What the model replied; it fits the schema.")
    usage: Used = Field(description=USAGE)


class AskDataBlock(Block):
    """Ask a language model for data that fits a JSON schema."""

    id = "llm-data-block"
    name = "Ask for data"
    description = "Asks a language model for data that fits a JSON schema; it may correct itself once."
    credentials_required = (ProviderName.OPENAI,)
    cost_config = replace(COST, calls=2)  # it may correct itself once
    retry = RETRY
    input_schema, output_schema = AskDataInput, AskDataOutput
    always_yields = frozenset({"data", "usage"})
    examples = (
        Example(
            given={"prompt": "Name a drink.", "model": "small", "json_schema": SCHEMA},
            answers=[
                {
                    "method": "POST",
                    "path": "/chat/completions",
                    "json": {
                        "choices": [{"message": {"content": '{"drink": "Tea"}'}, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 9, "completion_tokens": 6},
                    },
                }
            ],
            gives=[("data", {"drink": "Tea"}), ("usage", {"input_tokens": 9, "output_tokens": 6, "model": "small"})],
        ),
    )

    async def execute(self, input_data: AskDataInput) -> AsyncIterator[tuple[str, Any]]:
        wanted = {"type": "json_schema", "json_schema": {"name": "data", "schema": input_data.json_schema}}
        ask = ask_of(input_data, response_format=wanted)
        replies = [await ask_model(self, ask)]
        data, problem = read(replies[0].text, input_data.json_schema)
        if problem:
            # The model that wrote it: another would not know what to correct.
            again = [
                {"role": "assistant", "content": replies[0].text[:MAX_SHOWN]},
                {"role": "user", "content": f"This does not fit. {problem} Reply with the corrected JSON alone."},
            ]
            replies.append(await ask_model(self, replace(ask, model=replies[0].model, fallback_models=(), then=again)))
            data, problem = read(replies[1].text, input_data.json_schema)
        if problem:
            raise BlockError(
                f"The model did not give what fits the schema, twice. {problem}",
                code="OUTPUT_INVALID",
                hint="Raise max_tokens: the reply was cut off."
                if replies[-1].is_cut
                else "Ask a larger model, or for less.",
                path="data",
            )
        yield "data", data
        yield "usage", sum_of(replies)
