"""The pins that all blocks have that ask a language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from blocks.llm._asking import Ask, Reply
from blocks.sdk import BlockSchema

#: The type of the pin `usage`.
Used = dict[str, int | str | bool]
USAGE = (
    "The tokens it took: `input_tokens`, `output_tokens`, `model`; with `is_estimated` if the provider did not count."
)


class AskingInput(BlockSchema):
    prompt: str = Field(min_length=1, description="What to ask.")
    system: str = Field(default="", description="How the model is to behave.")
    model: str = Field(default="", description="The model's name; empty takes the platform's default.")
    temperature: float | None = Field(default=None, ge=0, le=2, description="0 is steady, higher is livelier.")
    max_tokens: int | None = Field(default=None, ge=1, le=200_000, description="How long the reply may get.")
    fallback_models: list[str] = Field(
        default_factory=list,
        max_length=8,
        description="Models to ask instead, in this order, if one is unknown, busy or in trouble.",
    )
    stream: bool = Field(
        default=False, description="Take the reply piece by piece: a model that stops in the middle is noticed sooner."
    )


def ask_of(given: AskingInput, **options: Any) -> Ask:
    """Return what the node asks; `options` are what else the provider is told."""
    pins = {name: getattr(given, name) for name in AskingInput.model_fields}
    return Ask(**pins, options=options or None)


def sum_of(replies: Sequence[Reply]) -> Used:
    """Return what several replies of one model took together."""
    counted: Used = {
        "input_tokens": sum(reply.input_tokens for reply in replies),
        "output_tokens": sum(reply.output_tokens for reply in replies),
        "model": replies[0].model,
    }
    return counted | ({"is_estimated": True} if any(reply.is_estimated for reply in replies) else {})
