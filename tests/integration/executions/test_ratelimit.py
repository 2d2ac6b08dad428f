"""A firing that has to wait long for its turn lets its worker go, and keeps its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings as platform

from agentplatform.lib.clock import now
from blocks import registry
from blocks.sdk import Block, RateLimiter, waiting
from executions import waits
from executions.engine.status import NodeStatus, Status
from executions.models import Wait
from integrations import ratelimit, turns
from integrations.turns import Place
from tests.blocks import AnyInput, AnyOutput, NodeSpec, facts_of
from tests.factories import make_execution, make_published, rows_of
from tests.integration.executions.paying import nobody_connected
from tests.waiters import work_off

pytestmark = pytest.mark.django_db(transaction=True)


class Forecast(Block):
    """Asks somebody who wants to be asked once in a while."""

    id = "limited.forecast"
    name = "Forecast"
    description = "Asks for a forecast."
    input_schema, output_schema = AnyInput, AnyOutput
    rate_limiter = RateLimiter(max_concurrent=5, rate_per_second=1 / 600)

    async def execute(self, input_data: AnyInput) -> AsyncIterator[tuple[str, Any]]:
        """Wait for a turn, then say that it came."""
        async with self.rate_limiter:
            yield "output", "asked"


@pytest.fixture(autouse=True)
def server(redis_url: str) -> Any:
    turns.configure(redis_url=platform.REDIS_URL)
    with redis.Redis.from_url(platform.REDIS_URL) as server:
        server.flushdb()
        with nobody_connected():
            yield server
        server.flushdb()


def test_goes_on_at_its_turn_and_asks_once(server):
    registry.register(Forecast)
    nodes = [NodeSpec(key, Forecast.id, {"input": 1}, block=facts_of(Forecast)) for key in ("first", "second")]
    execution = work_off(make_execution(make_published(nodes)))
    rows = {row.status: row for row in rows_of(execution.pk).values()}
    (wait,) = Wait.objects.filter(execution_id=execution.pk)

    server.delete(f"limit:{{{Forecast.rate_limiter.key}}}:turns")
    Wait.objects.open().update(due_at=now() - timedelta(minutes=1))
    waits.time_out()
    ended = work_off(execution)

    assert set(rows) == {NodeStatus.SUCCEEDED, NodeStatus.WAITING}
    assert rows[NodeStatus.WAITING].lease_expires_at is None
    assert timedelta(seconds=500) < wait.due_at - wait.created_at <= timedelta(seconds=601)
    assert ended.status == Status.SUCCEEDED
    assert {row.attempt for row in rows_of(execution.pk).values()} == {1}


class Scarce(Forecast):
    """Asks somebody who hears one at a time."""

    id = "limited.scarce"
    rate_limiter = RateLimiter(max_concurrent=1, rate_per_second=None)


async def taken(*names: str) -> list[Place]:
    """Let these others have the slot and stand in line for it."""
    shared = Scarce.rate_limiter
    places = [Place(shared.key, name, shared.limits) for name in names]
    table = turns.Table(platform.REDIS_URL)
    for place in places:
        await table.ask(place)
    return places


def test_lets_its_worker_go_for_a_slot_and_gets_it_in_its_turn(server, monkeypatch):
    registry.register(Scarce)
    monkeypatch.setattr(ratelimit, "LONGEST_WAIT_HERE_S", 0.2)
    monkeypatch.setattr(waiting, "LONGEST_SLEEP_S", 0.1)
    asyncio.run(taken("holder", "next"))
    node = NodeSpec("ask", Scarce.id, {"input": 1}, block=facts_of(Scarce))

    execution = work_off(make_execution(make_published([node])))
    (row,), status = rows_of(execution.pk).values(), execution.status
    (wait,) = Wait.objects.filter(execution_id=execution.pk)
    key = f"limit:{{{Scarce.rate_limiter.key}}}"
    stood = server.zrange(f"{key}:line", 0, -1), server.zcard(f"{key}:away")
    server.delete(f"{key}:slots", f"{key}:line")
    Wait.objects.open().update(due_at=now() - timedelta(minutes=1))
    waits.time_out()
    ended = work_off(execution)

    assert (status, row.status, row.lease_expires_at) == (Status.WAITING, NodeStatus.WAITING, None)
    assert wait.due_at > wait.created_at
    assert stood == ([b"next"], 1)
    assert ended.status == Status.SUCCEEDED
    assert {row.attempt for row in rows_of(execution.pk).values()} == {1}
    assert server.zcard(f"{key}:away") == server.zcard(f"{key}:line") == 0
