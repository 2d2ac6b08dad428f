"""What probes are told: who can not serve goes out of the way, who can accept and keep stays."""

from __future__ import annotations

import socket
import tomllib

import pytest
from celery import current_app
from django.db import connection
from django.test import Client

from agentplatform import __version__, health
from agentplatform.local.paths import ROOT
from tests.servers import running_worker, wait_until

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_heard_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "BROKER", health.Broker())
    monkeypatch.setattr(health, "MIGRATIONS", health.Migrations())


def asked() -> tuple[int, dict[str, str]]:
    answer = Client().get("/readyz")
    return answer.status_code, answer.json()


def test_alive_asks_nobody_and_tells_the_version(django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = Client().get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": __version__})


def test_the_version_is_the_one_that_is_released():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


class TestReady:
    def test_without_a_worker_is_degraded_and_stays(self, redis_url):
        status, told = asked()

        assert (status, told["status"], told["broker"], told["worker"]) == (200, "degraded", "ok", "not heard from")
        assert (told["database"], told["migrations"]) == ("ok", "ok")

    @pytest.mark.parametrize("is_silent", [False, True])
    def test_without_a_broker_is_degraded_and_stays(self, is_silent, monkeypatch):
        ask_there = current_app.connection_for_write
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            if is_silent:
                taken.listen()
            away = f"redis://127.0.0.1:{taken.getsockname()[1]}/0"
            monkeypatch.setattr(current_app, "connection_for_write", lambda **options: ask_there(away, **options))

            status, told = asked()

        assert (status, told["status"], told["broker"]) == (200, "degraded", "unreachable")

    def test_with_a_migration_missing_is_not(self, redis_url):
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE app = 'access'")

        status, told = asked()

        assert (status, told["status"], told["migrations"]) == (503, "unavailable", "not applied")

    def test_asks_the_broker_only_now_and_then(self, redis_url):
        asked()
        before = health.BROKER.asked_at

        asked()

        assert health.BROKER.asked_at == before


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_hears_a_worker(redis_url, monkeypatch):
    monkeypatch.setattr(health, "ASK_EVERY_S", 0.0)

    with running_worker():
        wait_until(lambda: asked()[1]["status"] == "ok", within_s=30, what="That a worker is heard")
