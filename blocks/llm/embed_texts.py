"""Turning texts into vectors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from pydantic import Field

from blocks.llm._asking import call_key
from blocks.llm._clients import PATIENCE, connect
from blocks.llm._errors import RETRY, translated, unreadable
from blocks.llm._inputs import USAGE, Used
from blocks.llm._usage import COST, Meter
from blocks.sdk import Block, BlockSchema, Example
from integrations.providers import ProviderName

MAX_NUMBER = 1e300


class EmbedTextsInput(BlockSchema):
    texts: list[str] = Field(min_length=1, max_length=2_048, description="The texts.")
    model: str = Field(default="text-embedding-3-small", min_length=1, description="The name of an embedding model.")
    dimensions: int | None = Field(
        default=None, ge=1, le=10_000, description="How long the vectors are to be, for models that let one choose."
    )


class EmbedTextsOutput(BlockSchema):
    embeddings: list[list[float]] = Field(description="A vector for each text, in the same order.")
    usage: Used = Field(description=USAGE)


class EmbedTextsBlock(Block):
    """Turn texts into vectors that are near each other where the meanings are."""

    id = "llm-embedding-block"
    name = "Embed texts"
    description = "Turns texts into vectors: texts of like meaning have vectors near each other."
    credentials_required = (ProviderName.OPENAI,)
    cost_config = replace(COST, at_most=0)  # of tokens made: none are
    retry = RETRY
    input_schema, output_schema = EmbedTextsInput, EmbedTextsOutput
    always_yields = frozenset({"embeddings", "usage"})
    examples = (
        Example(
            given={"texts": ["tea", "coffee"], "model": "small"},
            answers=[
                {
                    "method": "POST",
                    "path": "/embeddings",
                    "json": {
                        "data": [{"index": 1, "embedding": [0.5, 1.0]}, {"index": 0, "embedding": [0.25, 1.0]}],
                        "usage": {"prompt_tokens": 2, "total_tokens": 2},
                    },
                }
            ],
            gives=[
                ("embeddings", [[0.25, 1.0], [0.5, 1.0]]),
                ("usage", {"input_tokens": 2, "output_tokens": 0, "model": "small"}),
            ],
        ),
    )

    async def execute(self, input_data: EmbedTextsInput) -> AsyncIterator[tuple[str, Any]]:
        connection = await connect(self)
        arguments: dict[str, Any] = {"model": input_data.model, "input": input_data.texts, "encoding_format": "float"}
        if input_data.dimensions:
            arguments["dimensions"] = input_data.dimensions
        given = "".join(input_data.texts)
        async with self.in_turn(connection.credentials):
            with translated(connection), Meter(self, model=input_data.model, given=given, makes_text=False) as meter:
                async with asyncio.timeout(PATIENCE.total_s):
                    answer = await connection.sdk.embeddings.create(
                        **arguments, extra_headers={"Idempotency-Key": call_key(self, arguments)}
                    )
                meter.heard(getattr(answer, "usage", None))
        yield "embeddings", vectors_of(answer, len(input_data.texts))
        yield "usage", meter.counted


def vectors_of(answer: Any, count: int) -> list[list[float]]:
    """Return the vectors in the order of their texts.

    Raises:
        BlockError: there is not one for each.
    """
    data = getattr(answer, "data", None)
    listed = data if isinstance(data, list) else []
    found = {
        one.index: getattr(one, "embedding", None) for one in listed if isinstance(getattr(one, "index", None), int)
    }
    vectors = [found.get(index) for index in range(count)]
    if not all(_is_vector(vector) for vector in vectors):
        raise unreadable()
    return [[float(number) for number in vector or ()] for vector in vectors]


def _is_vector(vector: Any) -> bool:
    return isinstance(vector, list) and bool(vector) and all(_is_number(number) for number in vector)


def _is_number(number: Any) -> bool:
    # Written so that NaN is refused too.
    return isinstance(number, int | float) and not isinstance(number, bool) and -MAX_NUMBER < number < MAX_NUMBER
