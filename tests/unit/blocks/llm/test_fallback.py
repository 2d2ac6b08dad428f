"""Several models for one question: the first that replies does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentplatform.lib.errors import AppError
from blocks.llm.ask_model import AskModelBlock
from blocks.sdk import BlockError
from blocks.sdk.testing import MemoryContext, run_block
from tests.scripted_llm import pieces, refusing, scripted, text, used, whole

ContextAt = Callable[[str], MemoryContext]
USAGE = {"prompt_tokens": 9, "completion_tokens": 1}


async def ask(context: MemoryContext, **given: Any) -> dict[str, Any]:
    """Ask with a model and two to fall back on, and return what the block yields, by pin."""
    models = {"model": "a", "fallback_models": ["b", "c"]}
    return dict(await run_block(AskModelBlock, {"prompt": "Name a drink.", **models, **given}, context=context))


@pytest.mark.parametrize(
    "step",
    [
        refusing(404, code="model_not_found"),
        refusing(400, code="model_not_found"),
        refusing(429),
        refusing(500),
        refusing(503),
    ],
)
async def test_the_next_is_asked_if_one_is_unknown_busy_or_in_trouble(step: Any, context_at: ContextAt) -> None:
    async with scripted(step, whole(usage=USAGE)) as server:
        context = context_at(server.url)
        replied = await ask(context)

    assert [body["model"] for body in server.bodies] == ["a", "b"]
    assert replied["usage"]["model"] == context.usage.model == "b"
    assert context.usage.input_tokens == 9


@pytest.mark.parametrize(("status", "code"), [(401, "CREDENTIAL_REFUSED"), (400, "PROVIDER_REFUSED")])
async def test_no_other_is_asked_where_it_would_be_refused_as_well(
    status: int, code: str, context_at: ContextAt
) -> None:
    async with scripted(refusing(status), whole()) as server:
        with pytest.raises(AppError) as failed:
            await ask(context_at(server.url))

    assert failed.value.code == code
    assert len(server.bodies) == 1


async def test_what_one_has_made_before_it_broke_off_is_told_as_its_own(context_at: ContextAt) -> None:
    whole_stream = pieces(text("Tea", "stop"), used(9, 1))
    async with scripted(pieces(text("Te"), is_cut=True), whole_stream) as server:
        context = context_at(server.url)
        replied = await ask(context, stream=True)

    assert replied["usage"] == {"input_tokens": 9, "output_tokens": 1, "model": "b"}
    assert context.usage.as_dict() == {"input_tokens": 13, "output_tokens": 2, "estimates": 1, "model": "b"}
    assert {model: (tokens.input, tokens.output) for model, tokens in context.usage.tokens().items()} == {
        "a": (4, 1),
        "b": (9, 1),
    }


async def test_what_may_be_over_in_a_moment_is_told_if_none_replies(context_at: ContextAt) -> None:
    steps = [refusing(404), refusing(429, headers="Retry-After: 20\r\n"), refusing(404)]
    async with scripted(*steps) as server:
        with pytest.raises(BlockError) as failed:
            await ask(context_at(server.url))

    assert (failed.value.code, failed.value.retry_after_s) == ("RATE_LIMITED", 20)
    assert len(server.bodies) == 3


async def test_each_is_asked_once(context_at: ContextAt) -> None:
    async with scripted(refusing(500), refusing(500)) as server:
        with pytest.raises(AppError):
            await ask(context_at(server.url), fallback_models=["a", "b", "", "b"])

    assert [body["model"] for body in server.bodies] == ["a", "b"]
