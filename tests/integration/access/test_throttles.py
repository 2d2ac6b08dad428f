"""How much may be asked: by one key, by all of one owner, and that nobody is kept out because Redis is away."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from rest_framework.test import APIClient

from access import counting
from tests.factories import make_key, make_user

pytestmark = pytest.mark.django_db

ME = "/api/v1/me/"


@pytest.fixture(autouse=True)
def counted(settings: Any, redis_url: str) -> None:
    settings.AGENTPLATFORM_REQUESTS_PER_MINUTE = 3
    settings.AGENTPLATFORM_REQUESTS_OF_OWNER_FACTOR = 2
    counting.shared.cache_clear()
    redis.Redis.from_url(redis_url).flushdb()


@pytest.fixture(autouse=True)
def in_one_minute(time_machine: Any) -> None:
    time_machine.move_to("2026-06-01T12:00:10Z", tick=False)


def client_of(user: Any) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {make_key(user)}"})


def test_a_key_may_ask_so_often_and_is_told_how_much_is_left():
    client = client_of(make_user())

    answers = [client.get(ME) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert (answers[3]["Retry-After"], answers[3]["RateLimit-Reset"]) == ("50", "50")


def test_the_next_minute_begins_anew(time_machine):
    client = client_of(make_user())
    answers = [client.get(ME) for _ in range(4)]

    time_machine.shift(60)

    assert (answers[3].status_code, client.get(ME).status_code) == (429, 200)


def test_all_keys_of_an_owner_count_together_and_nobody_elses():
    user = make_user()

    mine = [client_of(user).get(ME).status_code for _ in range(7)]
    others = client_of(make_user()).get(ME).status_code

    assert mine == [200] * 6 + [429]
    assert others == 200


def test_nobody_is_kept_out_because_redis_is_away(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    counting.shared.cache_clear()
    client = client_of(make_user())

    answers = [client.get(ME).status_code for _ in range(5)]

    counting.shared.cache_clear()
    assert answers == [200] * 5


class TestANameOfARequest:
    @pytest.mark.parametrize("name", ["a1b2-c3.d4:e5", "x" * 100])
    def test_is_kept_if_it_is_sane(self, name):
        assert APIClient().get("/healthz", headers={"X-Request-ID": name})["X-Request-ID"] == name

    @pytest.mark.parametrize("name", ["", "a b", "<b>", "x" * 101, "\u00fc"])
    def test_is_a_new_one_otherwise(self, name):
        told = APIClient().get("/healthz", headers={"X-Request-ID": name.encode().decode("latin-1")})["X-Request-ID"]

        assert len(told) == 32

    def test_stands_in_the_log(self, caplog):
        from agentplatform.log import MaskedFormatter

        APIClient().get("/api/v1/nowhere/", headers={"X-Request-ID": "find-me"})

        (record, *_) = caplog.records
        assert MaskedFormatter("%(message)s").format(record).endswith("[request find-me]")


def test_large_answers_are_compressed_for_those_who_can_read_that():
    client = client_of(make_user())

    assert client.get("/api/schema/", headers={"Accept-Encoding": "gzip"})["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in client.get("/api/schema/")
