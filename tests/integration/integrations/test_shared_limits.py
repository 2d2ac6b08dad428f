"""What a provider or a credential declares is kept to by every block that asks with it, over all workers; who is told to wait slows all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import redis
from pytest_httpserver import HTTPServer

from agentplatform.lib import http
from blocks import BLOCKS
from blocks.http.call_service import CallServiceBlock
from blocks.llm.ask_claude import AskClaudeBlock
from blocks.llm.ask_model import AskModelBlock
from blocks.llm.embed_texts import EmbedTextsBlock
from blocks.research.search_web import SearchWebBlock
from blocks.sdk import Block, BlockError, Example, RateLimiter
from blocks.sdk.testing import KnownCredentials, run_block
from integrations import providers, services, turns
from integrations.errors import RateLimiterUnavailable
from integrations.providers import ProviderName
from integrations.turns import Place
from tests.factories import make_user
from tests.keys import make_credential
from tests.mail_server import MailServer, credential_of, trusted_mail_server
from tests.outside import address_of, allow_only, context_of, host_of, script

_names = count(1)
ASKING = [
    pytest.param(block, example, id=f"{block.id}-{number}")
    for block in BLOCKS
    if block.credentials_required
    for number, example in enumerate(block.examples)
]


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with trusted_mail_server(tmp_path_factory.mktemp("tls")) as server:
        yield server


@pytest.fixture(autouse=True)
def server(redis_url: str) -> Iterator[redis.Redis]:
    turns.configure(redis_url=redis_url)
    with redis.Redis.from_url(redis_url) as server:
        server.flushdb()
        yield server
    turns.configure(redis_url=redis_url)


def limiter(most: int | None = None, rate: float | None = None) -> RateLimiter:
    return RateLimiter(most, rate, key=f"shared-{next(_names)}")


def turns_given(server: redis.Redis, limiter: RateLimiter) -> int:
    return int(server.get(f"limit:{{{limiter.key}}}:numbers") or 0)  # type: ignore[arg-type]


async def wait_of_others(limiter: RateLimiter) -> float:
    """Return how long somebody of another worker would have to wait now."""
    other = turns.Table(turns._url)
    return await other.ask(Place(limiter.key, f"other-{next(_names)}", limiter.limits))


class TestEveryBlockThatAsks:
    @pytest.mark.parametrize(("block", "example"), ASKING)
    async def test_takes_a_turn_and_gives_it_back(
        self, block: type[Block], example: Example, httpserver: HTTPServer, mail: MailServer, monkeypatch, server
    ):
        script(httpserver, example.answers)
        allow_only(monkeypatch, host_of(httpserver), mail.place)
        shared, address = limiter(1), address_of(httpserver)
        context = context_of(block, address, example.waits)
        context.credentials = {
            name: replace(credential_of(mail), rate_limiter=shared)
            if name == ProviderName.SMTP
            else KnownCredentials(base_url=address, rate_limiter=shared)
            for name in block.credentials_required
        }

        await run_block(block, json.loads(json.dumps(example.given).replace("{server}", address)), context=context)

        assert turns_given(server, shared) == max(1, len(example.answers))
        assert await wait_of_others(shared) == 0

    async def test_is_let_through_by_nobody_while_the_server_is_away(self, httpserver: HTTPServer, monkeypatch):
        allow_only(monkeypatch, host_of(httpserver))
        monkeypatch.setattr(turns, "PAUSES_S", (0.01,))
        monkeypatch.setattr(turns, "_tables", type(turns._tables)())
        turns.configure(redis_url="redis://127.0.0.1:1/0")

        with pytest.raises(RateLimiterUnavailable):
            await asked(SearchWebBlock, httpserver, limiter(1), input="tea")

        httpserver.check()
        assert not httpserver.log

    async def test_asks_no_server_where_nothing_is_declared(self, httpserver: HTTPServer, monkeypatch):
        allow_only(monkeypatch, host_of(httpserver))
        turns.configure(redis_url="redis://127.0.0.1:1/0")
        httpserver.expect_request("/search").respond_with_json({"results": [{"title": "Tea"}]})

        await asked(SearchWebBlock, httpserver, None, input="tea")

        assert len(httpserver.log) == 1


async def asked(block: type[Block], httpserver: HTTPServer, limiter: RateLimiter | None, **given: Any) -> Any:
    address = address_of(httpserver)
    context = context_of(block, address)
    known = KnownCredentials(base_url=address, rate_limiter=limiter)
    context.credentials = dict.fromkeys(block.credentials_required, known)
    return await run_block(block, given, context=context)


class TestWhoIsToldToWait:
    @pytest.mark.parametrize("limits", [(3, None), (None, 100), (3, 100)])
    @pytest.mark.parametrize(
        ("block", "given"),
        [
            (AskModelBlock, {"prompt": "x", "model": "m"}),
            (AskClaudeBlock, {"prompt": "x", "model": "m"}),
            (EmbedTextsBlock, {"texts": ["x"], "model": "m"}),
            (SearchWebBlock, {"input": "x"}),
            (CallServiceBlock, {"url": "{server}/x"}),
        ],
    )
    async def test_slows_all_workers(self, block, given, limits, httpserver: HTTPServer, monkeypatch):
        allow_only(monkeypatch, host_of(httpserver))
        httpserver.expect_request(re.compile("/.*")).respond_with_data("", status=429, headers={"Retry-After": "40"})
        shared = limiter(*limits)
        given = {
            name: value.replace("{server}", address_of(httpserver)) if isinstance(value, str) else value
            for name, value in given.items()
        }

        with pytest.raises(BlockError) as error:
            await asked(block, httpserver, shared, **given)

        assert (error.value.code, error.value.retry_after_s) == ("RATE_LIMITED", 40)
        assert 30 < await wait_of_others(shared) <= 40

    async def test_slows_all_also_where_the_answer_is_wanted_as_it_is(self, httpserver: HTTPServer, monkeypatch):
        allow_only(monkeypatch, host_of(httpserver))
        httpserver.expect_request("/x").respond_with_data("", status=429, headers={"Retry-After": "40"})
        shared = limiter(3)

        await asked(CallServiceBlock, httpserver, shared, url=f"{address_of(httpserver)}/x", accept_any_status=True)

        assert 30 < await wait_of_others(shared) <= 40

    async def test_slows_nobody_where_another_model_replies(self, httpserver: HTTPServer, monkeypatch):
        allow_only(monkeypatch, host_of(httpserver))
        completion = {"choices": [{"message": {"content": "Tea"}, "finish_reason": "stop"}]}
        httpserver.expect_ordered_request("/chat/completions").respond_with_data(
            "", status=429, headers={"Retry-After": "40"}
        )
        httpserver.expect_ordered_request("/chat/completions").respond_with_json(completion)
        shared = limiter(3)

        replied = await asked(AskModelBlock, httpserver, shared, prompt="x", model="a", fallback_models=["b"])

        assert replied[0] == ("response", "Tea")
        assert await wait_of_others(shared) == 0

    @pytest.mark.parametrize(("told_s", "held_s"), [(10**8, 3600), (0, 0), (-5, 0)])
    async def test_is_believed_within_reason(self, told_s, held_s):
        shared = limiter(3)

        await shared.hold_back(told_s)

        assert held_s - 5 <= await wait_of_others(shared) <= held_s

    async def test_is_not_let_in_earlier_by_somebody_who_was_told_less(self):
        shared = limiter(3, 100)

        await shared.hold_back(60)
        await shared.hold_back(1)

        assert await wait_of_others(shared) > 50


@pytest.mark.django_db
class TestWhatIsDeclared:
    def opened(self, **fields: Any) -> RateLimiter | None:
        owner = make_user()
        credential = make_credential(owner, **fields)
        opened = services.open_credential(owner_id=owner.pk, provider=credential.provider)
        return opened.rate_limiter

    def test_is_nothing_unless_somebody_says_so(self):
        assert self.opened() is None

    def test_by_a_credential_counts_for_it_alone(self):
        one = self.opened(max_concurrent=3, rate_per_second=0.5)
        other = self.opened(max_concurrent=3)

        assert (one.limits.max_concurrent, one.limits.rate_per_second) == (3, 0.5)
        assert (other.limits.max_concurrent, other.limits.rate_per_second) == (3, None)
        assert one.key != other.key

    def test_by_a_provider_counts_for_each_of_its_credentials_that_says_nothing(self):
        declared = providers.get("github").max_concurrent

        assert self.opened(provider="github").limits.max_concurrent == declared == 100
        assert self.opened(provider="github", max_concurrent=2).limits.max_concurrent == 2

    def test_of_the_platforms_own_key_is_shared_by_all_owners(self, settings):
        settings.GITHUB_API_KEY = "ghp-of-the-platform"

        keys = {services.open_credential(owner_id=make_user().pk, provider="github").rate_limiter.key for _ in "ab"}

        assert keys == {"provider:github:platform"}

    def test_is_the_same_for_all_who_share_it(self):
        owner = make_user()
        credential = make_credential(owner, max_concurrent=1)

        keys = {services.opened(credential).rate_limiter.key for _ in "ab"}

        assert keys == {f"provider:openai:{credential.pk}"}


def test_the_door_knows_what_can_not_be_sent():
    with pytest.raises(http.HeaderForbidden):
        http.check_headers({"X-Key": "é"})
