"""Whoever waits for an execution from async code waits on while the database is away for a moment."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from agentplatform.lib.clock import now
from executions.engine.status import Status
from executions.errors import ExecutionFailed
from executions.manager import ExecutionManager
from executions.models import Execution
from tests.factories import make_execution


@pytest.mark.django_db(transaction=True)
async def test_a_lost_connection_is_no_end_of_waiting():
    execution = await sync_to_async(make_execution)(status=Status.RUNNING)
    waiting = asyncio.create_task(ExecutionManager().execute_node(execution.pk, "only"))
    await asyncio.sleep(0)  # its first question stands in line before ours

    await sync_to_async(break_connection)()
    await asyncio.sleep(0.3)
    await sync_to_async(fail)(execution)

    with pytest.raises(ExecutionFailed) as failed:
        await asyncio.wait_for(waiting, timeout=30)
    assert failed.value.code == "AS_TOLD"
    await sync_to_async(hang_up)()


def hang_up() -> None:
    connection.close()  # of this thread


def break_connection() -> None:
    """Let the connection of this thread be gone, as if the server had been started anew, without Django's knowing."""
    connection.ensure_connection()
    connection.connection.close()


def fail(execution: Execution) -> None:
    hang_up()
    Execution.objects.filter(pk=execution.pk).update(status=Status.FAILED, error_code="AS_TOLD", ended_at=now())
