"""How a language model is asked, against a real server that answers from a script."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from agentplatform.lib.errors import AppError
from blocks.llm import _asking
from blocks.llm._clients import Patience, client_of
from blocks.llm.ask_model import AskModelBlock
from blocks.sdk import BlockError
from blocks.sdk.testing import KnownCredentials, MemoryContext, run_block
from integrations.providers import ProviderName
from tests.outside import address_of, allow_only, host_of, raw_server

REPLY: dict[str, Any] = {"choices": [{"message": {"content": "Tea"}, "finish_reason": "stop"}]}


@pytest.fixture
def server(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> HTTPServer:
    """A provider that may be asked."""
    allow_only(monkeypatch, host_of(httpserver))
    return httpserver


def context_at(base_url: str, key: str = "sk-canary", **settings: Any) -> MemoryContext:
    """Return a context whose provider is at `base_url`."""
    return MemoryContext(credentials={ProviderName.OPENAI: KnownCredentials(key, base_url)}, settings=settings)


async def ask(context: MemoryContext, **given: Any) -> dict[str, Any]:
    """Ask the model and return what the block yields, by pin."""
    return dict(await run_block(AskModelBlock, {"prompt": "Name a drink.", "model": "small", **given}, context=context))


async def test_sends_the_prompt_the_key_and_only_what_is_set(server: HTTPServer) -> None:
    seen: list[tuple[Any, str | None]] = []

    def answer(request: Request) -> Response:
        seen.append((request.get_json(), request.headers.get("Authorization")))
        return Response(json.dumps(REPLY), content_type="application/json")

    server.expect_request("/chat/completions").respond_with_handler(answer)

    await ask(context_at(address_of(server)), system="Be brief.", max_tokens=9)

    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name a drink."}]
    assert seen == [({"model": "small", "messages": messages, "max_tokens": 9}, "Bearer sk-canary")]


async def test_sends_the_same_key_with_the_same_question_of_a_firing_and_another_with_another(
    server: HTTPServer,
) -> None:
    seen: list[str | None] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.get("Idempotency-Key"))
        return Response(json.dumps(REPLY), content_type="application/json")

    server.expect_request("/chat/completions").respond_with_handler(answer)
    context = context_at(address_of(server))

    await ask(context)
    await ask(context)
    await ask(context, prompt="Name a meal.")

    first, second, third = seen
    assert first is not None
    assert first.startswith("test-firing:")
    assert first == second != third


async def test_sends_nothing_of_the_workers_environment(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "HTTPS_PROXY", "HTTP_PROXY")
    for name in names:
        monkeypatch.setenv(name, "env-canary")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Custom: env-canary\nAuthorization: Bearer env-canary")
    monkeypatch.setenv("OPENAI_API_KEY", "env-canary")
    server.expect_request("/chat/completions").respond_with_json(REPLY)

    await ask(context_at(address_of(server), key=""))

    assert "env-canary" not in str(server.log[0][0].headers)


async def test_takes_the_model_of_the_platform_if_none_is_named(server: HTTPServer) -> None:
    server.expect_request(
        "/chat/completions", json={"model": "big", "messages": [{"role": "user", "content": "Name a drink."}]}
    ).respond_with_json(REPLY)

    replied = await ask(context_at(address_of(server), OPENAI_MODEL="big"), model="")

    assert replied["response"] == "Tea"


async def test_says_that_no_model_is_named(server: HTTPServer) -> None:
    with pytest.raises(AppError) as refused:
        await ask(context_at(address_of(server)), model="")

    assert refused.value.code == "MODEL_MISSING"


class TestUsage:
    @pytest.mark.parametrize(
        ("usage", "counted", "is_estimated"),
        [
            ({"prompt_tokens": 9, "completion_tokens": 2}, (9, 2), False),
            (None, (4, 1), True),
            ({"prompt_tokens": 9}, (9, 1), True),
            ({"prompt_tokens": -9, "completion_tokens": -1}, (4, 1), True),
            ({"prompt_tokens": "many", "completion_tokens": None}, (4, 1), True),
        ],
    )
    async def test_is_counted_or_else_estimated_which_is_said_and_never_free(
        self, usage: Any, counted: tuple[int, int], is_estimated: bool, server: HTTPServer
    ) -> None:
        server.expect_request("/chat/completions").respond_with_json({**REPLY, "usage": usage})
        context = context_at(address_of(server))

        replied = await ask(context)

        tokens = {"input_tokens": counted[0], "output_tokens": counted[1], "model": "small"}
        assert context.usage.as_dict() == tokens | ({"estimates": 1} if is_estimated else {})
        assert replied["usage"] == tokens | ({"is_estimated": True} if is_estimated else {})

    async def test_tells_what_the_provider_had_in_its_cache(self, server: HTTPServer) -> None:
        usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}
        server.expect_request("/chat/completions").respond_with_json({**REPLY, "usage": usage})
        context = context_at(address_of(server))

        await ask(context)

        assert context.usage.cached_tokens == 8

    async def test_is_nothing_if_the_provider_refused(self, server: HTTPServer) -> None:
        server.expect_request("/chat/completions").respond_with_json({}, status=503)
        context = context_at(address_of(server))

        with pytest.raises(AppError):
            await ask(context)

        assert context.usage.as_dict() == {}

    async def test_is_reported_even_if_the_reply_can_not_be_used(self, server: HTTPServer) -> None:
        usage = {"prompt_tokens": 9, "completion_tokens": 2}
        server.expect_request("/chat/completions").respond_with_json({"choices": [], "usage": usage})
        context = context_at(address_of(server))

        with pytest.raises(AppError):
            await ask(context)

        assert context.usage.as_dict() == {"input_tokens": 9, "output_tokens": 2, "model": "small"}


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (400, "PROVIDER_REFUSED"),
            (401, "CREDENTIAL_REFUSED"),
            (403, "CREDENTIAL_REFUSED"),
            (404, "NOT_FOUND"),
            (408, "PROVIDER_ERROR"),
            (422, "PROVIDER_REFUSED"),
            (429, "RATE_LIMITED"),
            (500, "PROVIDER_ERROR"),
            (503, "PROVIDER_ERROR"),
        ],
    )
    async def test_have_a_code_the_words_of_the_provider_and_no_key(
        self, status: int, code: str, server: HTTPServer
    ) -> None:
        told = {"error": {"message": "No, sk-canary."}}
        server.expect_request("/chat/completions").respond_with_json(told, status=status)

        with pytest.raises(AppError) as refused:
            await ask(context_at(address_of(server)))

        assert refused.value.code == code
        assert refused.value.message == f"The model's provider answered {status}: No, ***."
        assert refused.value.hint
        assert len(server.log) == 1, "retrying is the platform's"

    async def test_say_how_long_the_provider_wants_to_be_left_alone(self, server: HTTPServer) -> None:
        server.expect_request("/chat/completions").respond_with_json({}, status=429, headers={"Retry-After": "20"})

        with pytest.raises(BlockError) as refused:
            await ask(context_at(address_of(server)))

        assert refused.value.retry_after_s == 20

    @pytest.mark.parametrize(
        ("content_type", "text"),
        [
            ("text/html", "<html>"),
            ("application/json", "{"),
            ("application/json", "[]"),
            ("application/json", "null"),
            ("application/json", "{}"),
            ("application/json", '{"choices": null}'),
            ("application/json", '{"choices": [{}]}'),
            ("application/json", '{"choices": [{"message": {"content": null}}]}'),
            ("application/json", '{"choices": "tea"}'),
            ("application/json", '{"choices": [{"message": {"content": {"a": 1}}}]}'),
        ],
    )
    async def test_are_told_for_whatever_is_no_reply(self, content_type: str, text: str, server: HTTPServer) -> None:
        server.expect_request("/chat/completions").respond_with_data(text, content_type=content_type)

        with pytest.raises(AppError) as refused:
            await ask(context_at(address_of(server)))

        assert refused.value.code == "PROVIDER_ERROR"

    async def test_say_that_nobody_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        allow_only(monkeypatch, "127.0.0.1")

        with pytest.raises(AppError) as refused:
            await ask(context_at("http://127.0.0.1:9/v1"))

        assert refused.value.code == "PROVIDER_UNREACHABLE"

    async def test_say_that_it_took_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_asking, "PATIENCE", Patience(total_s=0.2))
        allow_only(monkeypatch, "127.0.0.1")

        async with raw_server(lambda *_: asyncio.sleep(5)) as port:
            with pytest.raises(AppError) as refused:
                await ask(context_at(f"http://127.0.0.1:{port}/v1"))

        assert refused.value.code == "PROVIDER_TIMEOUT"

    async def test_pass_the_guard_like_any_other_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """S6: the base address of a model is an address like any other."""
        allow_only(monkeypatch)

        with pytest.raises(AppError) as refused:
            await ask(context_at("http://169.254.169.254/v1"))

        assert refused.value.code == "URL_FORBIDDEN"

    async def test_are_told_before_a_key_is_sent_where_it_may_not_go(self, server: HTTPServer) -> None:
        """S27: the key of one provider, and the address of another."""
        mine = KnownCredentials("sk-canary", address_of(server), hosts=("api.openai.com",))

        with pytest.raises(AppError) as refused:
            await ask(MemoryContext(credentials={ProviderName.OPENAI: mine}))

        assert refused.value.code == "CREDENTIAL_HOST_FORBIDDEN"
        assert server.log == []

    @pytest.mark.parametrize("status", [302, 307])
    async def test_are_told_for_a_redirect_which_is_not_followed(self, status: int, server: HTTPServer) -> None:
        server.expect_request("/elsewhere").respond_with_json(REPLY)
        server.expect_request("/chat/completions").respond_with_json(
            {}, status=status, headers={"Location": "/elsewhere"}
        )

        with pytest.raises(AppError):
            await ask(context_at(address_of(server)))

        assert len(server.log) == 1

    async def test_cut_what_a_provider_says_only_after_the_key_is_gone(self, server: HTTPServer) -> None:
        told = {"error": {"message": "x" * 295 + " sk-canary"}}
        server.expect_request("/chat/completions").respond_with_json(told, status=400)

        with pytest.raises(AppError) as refused:
            await ask(context_at(address_of(server)))

        assert "sk-" not in refused.value.message

    @pytest.mark.parametrize(
        ("message", "finish"),
        [({"content": None, "refusal": "I will not."}, "stop"), ({"content": ""}, "content_filter")],
    )
    async def test_are_told_if_the_model_declines(self, message: Any, finish: str, server: HTTPServer) -> None:
        answer = {"choices": [{"message": message, "finish_reason": finish}], "usage": {"prompt_tokens": 9}}
        server.expect_request("/chat/completions").respond_with_json(answer)
        context = context_at(address_of(server))

        with pytest.raises(AppError) as refused:
            await ask(context)

        assert refused.value.code == "MODEL_REFUSED"
        assert context.usage.input_tokens == 9

    async def test_are_told_for_an_address_that_is_none(self) -> None:
        with pytest.raises(AppError):
            await ask(context_at("not an address"))


def test_serves_every_event_loop_and_key_with_its_own_client(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_only(monkeypatch, host_of(httpserver))
    httpserver.expect_request("/chat/completions").respond_with_json(REPLY)

    async def clients() -> set[int]:
        asked = [("a", "1"), ("a", "1"), ("a", "2")]
        return {id(client_of(f"http://{url}.example/v1", key)) for url, key in asked}

    assert [len(asyncio.run(clients())) for _ in range(2)] == [2, 2]
