"""What a credential allows holds over two workers: for slots, for turns, and after its provider has asked to be left alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from blocks.http.call_service import CallServiceBlock
from executions import services
from executions.engine.spec import NodeSpec
from executions.engine.status import Status
from executions.models import Execution
from tests.acceptance.crew import wait_for_end
from tests.blocks import facts_of
from tests.factories import make_published, make_user
from tests.keys import make_credential
from tests.servers import running_worker

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

STAYS_S, KEPT_S = 0.15, 20.0


class Service(ThreadingHTTPServer):
    """Counts who is inside, and when each came; turns away as many as it is told to, and keeps the first until enough are inside."""

    daemon_threads = True
    inside = most = turned_away = enough = 0
    retry_after_s = 0
    came_at: list[float]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.changed, self.came_at = threading.Condition(), []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        with self.server.changed:
            self.server.came_at.append(time.monotonic())
            self.server.inside += 1
            self.server.most = max(self.server.most, self.server.inside)
            is_turned_away = self.server.turned_away > 0
            self.server.turned_away -= is_turned_away
            self.server.changed.notify_all()
            self.server.changed.wait_for(lambda: self.server.most >= self.server.enough, KEPT_S)
        if not is_turned_away:
            time.sleep(STAYS_S)
        with self.server.changed:
            self.server.inside -= 1
        self.send_response(429 if is_turned_away else 200)
        if is_turned_away:
            self.send_header("Retry-After", str(self.server.retry_after_s))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield service
        service.shutdown()


@pytest.fixture(scope="module", autouse=True)
def _workers(django_db_setup: None) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(running_worker())
        yield


def ask_often(service: Service, times: int, **limits: Any) -> list[Execution]:
    owner = make_user()
    credential = make_credential(owner, provider="http", base_url=service.url, **limits)
    asks = NodeSpec(
        "ask",
        CallServiceBlock.id,
        {"url": f"{service.url}/"},
        block=facts_of(CallServiceBlock),
        retry=CallServiceBlock.retry,
        credentials={"http": credential.pk},
    )
    version = make_published([asks], owner=owner)
    ids = [services.start(version_id=version.pk, owner_id=owner.pk).pk for _ in range(times)]
    wait_for_end(ids)
    return list(Execution.objects.filter(pk__in=ids))


def ended_well(executions: list[Execution]) -> bool:
    return {execution.status for execution in executions} == {Status.SUCCEEDED}


def test_no_more_are_inside_than_it_has_slots(service: Service):
    service.enough = 3
    ended = ask_often(service, 24, max_concurrent=3)

    assert ended_well(ended)
    assert (service.most, len(service.came_at)) == (3, 24)


def test_more_are_inside_where_nothing_is_declared(service: Service):
    service.enough = 4

    assert ended_well(ask_often(service, 24))
    assert service.most > 3


def test_they_come_one_by_one_at_its_rate(service: Service):
    assert ended_well(ask_often(service, 16, rate_per_second=8))

    # The first may be long on its way; without a rate all come within half a second.
    assert max(service.came_at) - min(service.came_at) > 15 / 8 - 1.0


def test_one_who_is_turned_away_keeps_the_others_away_too(service: Service):
    service.turned_away, service.retry_after_s = 1, 3

    assert ended_well(ask_often(service, 12, max_concurrent=1))

    first, second = sorted(service.came_at)[:2]
    assert second - first > 2.8
    assert len(service.came_at) == 13
