"""How a model of Anthropic is asked, against a real server that answers from a script."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentplatform.lib.errors import AppError
from blocks.llm.ask_claude import AskClaudeBlock
from blocks.sdk import BlockError
from blocks.sdk.testing import KnownCredentials, MemoryContext, run_block
from integrations.providers import ProviderName
from tests.outside import allow_only
from tests.scripted_llm import Step, answering, scripted

#: Of the 13 characters of the prompt.
GUESSED = {"input_tokens": 4, "estimates": 1, "model": "small"}


@pytest.fixture(autouse=True)
def open_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine be asked."""
    allow_only(monkeypatch, "127.0.0.1")


def context_at(url: str, *hosts: str) -> MemoryContext:
    """Return a context whose provider is at `url`."""
    key = KnownCredentials("sk-canary", url, hosts=hosts)
    return MemoryContext(credentials={ProviderName.ANTHROPIC: key})


def saying(**told: Any) -> Step:
    """Return the step of a reply."""
    usual = {"content": [{"type": "text", "text": "Tea"}], "usage": {"input_tokens": 9, "output_tokens": 1}}
    return answering(json.dumps({**usual, **told}))


async def ask(context: MemoryContext, **given: Any) -> dict[str, Any]:
    """Ask the model and return what the block yields, by pin."""
    asked = {"prompt": "Name a drink.", "model": "small", **given}
    return dict(await run_block(AskClaudeBlock, asked, context=context))


async def test_sends_the_key_as_this_provider_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(saying()) as server:
        await ask(context_at(server.url), system="Be brief.")

    assert server.bodies[0]["system"] == "Be brief."
    assert "x-api-key: sk-canary" in server.heads[0]
    assert "idempotency-key: test-firing:" in server.heads[0].lower()


async def test_counts_what_was_cached_as_a_part_of_the_input() -> None:
    usage = {"input_tokens": 9, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3, "output_tokens": 1}
    async with scripted(saying(usage=usage)) as server:
        context = context_at(server.url)
        await ask(context)

    assert (context.usage.input_tokens, context.usage.cached_tokens) == (32, 20)


@pytest.mark.parametrize("usage", [None, {}, "many", {"input_tokens": "9", "cache_read_input_tokens": []}])
async def test_estimates_what_is_not_counted(usage: Any) -> None:
    async with scripted(saying(usage=usage)) as server:
        context = context_at(server.url)
        await ask(context)

    assert context.usage.as_dict() == {**GUESSED, "output_tokens": 1}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"content": "tea"}', '{"content": [7, {"type": "text"}]}'])
async def test_refuses_what_is_no_reply_and_charges_for_it(text: str) -> None:
    async with scripted(answering(text)) as server:
        context = context_at(server.url)
        with pytest.raises(AppError):
            await ask(context)

    assert context.usage.as_dict() == GUESSED


async def test_says_that_the_model_declined() -> None:
    async with scripted(saying(stop_reason="refusal")) as server:
        with pytest.raises(AppError) as failed:
            await ask(context_at(server.url))

    assert failed.value.code == "MODEL_REFUSED"


async def test_tells_what_the_provider_refused_without_the_key_and_for_nothing() -> None:
    told = json.dumps({"error": {"message": "Slow down, sk-canary."}})
    async with scripted(answering(told, status=429, headers="Retry-After: 20\r\n")) as server:
        context = context_at(server.url)
        with pytest.raises(BlockError) as failed:
            await ask(context)

    assert failed.value.message == "The model's provider answered 429: Slow down, ***."
    assert (failed.value.code, failed.value.retry_after_s) == ("RATE_LIMITED", 20)
    assert context.usage.as_dict() == {}


async def test_costs_nothing_if_nobody_is_there() -> None:
    context = context_at("http://127.0.0.1:9/v1")

    with pytest.raises(AppError):
        await ask(context)

    assert context.usage.as_dict() == {}


async def test_sends_no_key_where_it_may_not_go() -> None:
    """S27: the key of one provider, and the address of another."""
    async with scripted(saying()) as server:
        with pytest.raises(AppError) as failed:
            await ask(context_at(server.url, "api.anthropic.com"))

    assert failed.value.code == "CREDENTIAL_HOST_FORBIDDEN"
    assert server.bodies == []
