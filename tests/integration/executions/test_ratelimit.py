"""A firing that has to wait long for its turn lets its worker go, and keeps its turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings as platform

from agentplatform.lib.clock import now
from blocks import registry
from blocks.sdk import Block, RateLimiter
from executions import waits
from executions.engine.status import NodeStatus, Status
from executions.models import Wait
from integrations import turns
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
    Wait.objects.open().update(due_at=now() - timedelta(seconds=1))
    waits.time_out()
    ended = work_off(execution)

    assert set(rows) == {NodeStatus.SUCCEEDED, NodeStatus.WAITING}
    assert rows[NodeStatus.WAITING].lease_expires_at is None
    assert timedelta(seconds=500) < wait.due_at - wait.created_at <= timedelta(seconds=601)
    assert ended.status == Status.SUCCEEDED
    assert {row.attempt for row in rows_of(execution.pk).values()} == {1}
