"""Replies that come piece by piece: whole, cut, stuck, dripping, cancelled; what they used is always told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agentplatform.lib.errors import AppError
from blocks.llm import _asking, _reading
from blocks.llm._clients import Patience
from blocks.llm.ask_model import AskModelBlock
from blocks.llm.choose_tools import ChooseToolsBlock
from blocks.sdk.testing import MemoryContext, run_block
from tests.scripted_llm import answering, delta, pieces, scripted, text, used

ContextAt = Callable[[str], MemoryContext]
GIVEN = {"prompt": "Name a drink.", "model": "small", "stream": True}
#: Of the 13 characters of the prompt and the 8 that came.
ESTIMATED = {"input_tokens": 4, "output_tokens": 2, "estimates": 1, "model": "small"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait only a moment for each piece, and not much longer for all."""
    patience = Patience(piece_s=0.2, total_s=0.5)
    monkeypatch.setattr(_asking, "PATIENCE", patience)
    monkeypatch.setattr(_reading, "PATIENCE", patience)


async def ask(context: MemoryContext) -> dict[str, Any]:
    """Ask for a reply in pieces, and return what the block yields, by pin."""
    return dict(await run_block(AskModelBlock, GIVEN, context=context))


async def test_are_put_together_and_counted_by_the_provider(context_at: ContextAt) -> None:
    async with scripted(pieces(text("Green "), text("tea", "stop"), used(9, 2))) as server:
        context = context_at(server.url)
        replied = await ask(context)

    assert replied == {"response": "Green tea", "usage": {"input_tokens": 9, "output_tokens": 2, "model": "small"}}
    assert context.usage.as_dict() == {"input_tokens": 9, "output_tokens": 2, "model": "small"}
    assert (server.bodies[0]["stream"], server.bodies[0]["stream_options"]) == (True, {"include_usage": True})


async def test_are_estimated_if_the_provider_does_not_count(context_at: ContextAt) -> None:
    async with scripted(pieces(text("Some "), text("tea", "stop"))) as server:
        context = context_at(server.url)
        replied = await ask(context)

    assert replied["usage"] == {"input_tokens": 4, "output_tokens": 2, "model": "small", "is_estimated": True}
    assert context.usage.as_dict() == ESTIMATED


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(pieces(text("Some "), text("tea"), is_cut=True), id="the connection breaks"),
        pytest.param(pieces(text("Some "), text("tea")), id="it ends without an end"),
        pytest.param(pieces(text("Some "), text("tea"), "{"), id="an event is no JSON"),
        pytest.param(pieces(text("Some "), text("tea"), {"error": {"message": "overloaded"}}), id="an error comes"),
    ],
)
async def test_that_break_off_are_failures_and_what_came_is_charged(step: Any, context_at: ContextAt) -> None:
    async with scripted(step) as server:
        context = context_at(server.url)
        with pytest.raises(AppError) as failed:
            await ask(context)

    assert failed.value.code == "PROVIDER_ERROR"
    assert context.usage.as_dict() == ESTIMATED


@pytest.mark.parametrize("odd", [[], '"tea"', None, 7, {"choices": "tea"}, {"choices": [None]}, {"choices": [{}]}, {}])
async def test_survive_events_that_say_nothing(odd: Any, context_at: ContextAt) -> None:
    async with scripted(pieces(odd, text("Tea", "stop"), used(9, 1))) as server:
        replied = await ask(context_at(server.url))

    assert replied["response"] == "Tea"


async def test_that_are_refused_before_they_begin_cost_nothing(context_at: ContextAt) -> None:
    busy = {"error": {"message": "Too many, sk-canary.", "code": "rate_limit_exceeded"}}
    async with scripted(pieces(busy)) as server:
        context = context_at(server.url)
        with pytest.raises(AppError) as failed:
            await ask(context)

    assert failed.value.code == "RATE_LIMITED"
    assert "sk-canary" not in failed.value.message
    assert context.usage.as_dict() == {}


async def test_that_are_no_stream_are_no_reply(context_at: ContextAt) -> None:
    async with scripted(answering('{"choices": [{"message": {"content": "Tea"}, "finish_reason": "stop"}]}')) as server:
        with pytest.raises(AppError) as failed:
            await ask(context_at(server.url))

    assert failed.value.code == "PROVIDER_ERROR"


@pytest.mark.usefixtures("impatient")
class TestPatience:
    async def test_ends_with_a_stream_that_is_stuck(self, context_at: ContextAt) -> None:
        async with scripted(pieces(text("Some "), text("tea"), is_stuck=True)) as server:
            context = context_at(server.url)
            with pytest.raises(AppError) as failed:
                await ask(context)

        assert failed.value.code == "PROVIDER_TIMEOUT"
        assert context.usage.as_dict() == ESTIMATED

    async def test_ends_with_a_stream_that_never_begins(self, context_at: ContextAt) -> None:
        async with scripted(pieces(is_stuck=True)) as server:
            context = context_at(server.url)
            with pytest.raises(AppError) as failed:
                await ask(context)

        assert failed.value.code == "PROVIDER_TIMEOUT"
        assert context.usage.as_dict() == {"input_tokens": 4, "estimates": 1, "model": "small"}

    async def test_ends_with_a_stream_that_drips(self, context_at: ContextAt) -> None:
        drip = pieces(*[text("x")] * 50, pause=lambda: asyncio.sleep(0.05))
        async with scripted(drip) as server:
            context = context_at(server.url)
            with pytest.raises(AppError) as failed:
                await ask(context)

        assert failed.value.code == "PROVIDER_TIMEOUT"
        assert context.usage.output_tokens >= 1

    async def test_is_not_prolonged_by_events_that_say_nothing(self, context_at: ContextAt) -> None:
        drip = pieces(*[{"choices": []}] * 50, pause=lambda: asyncio.sleep(0.05))
        async with scripted(drip) as server:
            with pytest.raises(AppError) as failed:
                await ask(context_at(server.url))

        assert failed.value.code == "PROVIDER_TIMEOUT"


async def test_that_are_cancelled_are_charged_and_let_go(context_at: ContextAt) -> None:
    reached = asyncio.Event()

    async def reach() -> None:
        reached.set()

    endless = pieces(text("Some tea"), *[text("")] * 100_000, pause=reach)
    async with scripted(endless) as server:
        context = context_at(server.url)
        asking = asyncio.create_task(ask(context))
        await reached.wait()
        asking.cancel()
        await asyncio.wait([asking])
        await asyncio.wait_for(server.left.wait(), 5)

    assert asking.cancelled()
    assert context.usage.estimates == 1
    assert context.usage.input_tokens == 4


async def test_bring_the_calls_of_tools_in_pieces_too(context_at: ContextAt) -> None:
    events = [
        delta({"tool_calls": [{"index": 0, "id": "call-1", "function": {"name": "brew", "arguments": ""}}]}),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"drink": '}}]}),
        delta({"tool_calls": [{"index": 1, "id": "call-2", "function": {"name": "brew", "arguments": "{}"}}]}),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": '"tea"}'}}]}),
        delta({}, "tool_calls"),
    ]
    async with scripted(pieces(*events, used(9, 2))) as server:
        given = {**GIVEN, "tools": [{"name": "brew"}]}
        yielded = await run_block(ChooseToolsBlock, given, context=context_at(server.url))

    assert [value["arguments"] for pin, value in yielded if pin == "call"] == [{"drink": "tea"}, {}]
