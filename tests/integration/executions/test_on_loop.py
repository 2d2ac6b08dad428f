"""Firings that are told to stop, whenever that is: each is reported once, with what it has used, and the lane ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import pytest
from django.db import connection

from blocks import registry
from blocks.sdk import Block, Effects, Placement, Retry
from executions import drive, services, worker
from executions.begun import Stop, Why
from executions.engine.compile import Lane
from executions.engine.spec import LinkSpec
from executions.engine.status import NodeStatus, Status
from executions.lane_run import LaneRun
from executions.leases import Wanted
from executions.messages import Work
from executions.models import NodeExecution
from executions.needs import Inbox, Needs, Request
from executions.settle import settle
from executions.snapshot import look
from graphs.models import GraphVersion
from tests.blocks import AnyInput, AnyOutput, facts_of, node
from tests.factories import claim_all, make_execution, make_published, rows_of, status_of
from tests.integration.executions.races import at_once
from tests.servers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 30


class Lingers(Block):
    """Uses something, then waits."""

    id = "lingers"
    name = "Lingers"
    description = "Waits."
    placement = Placement.IO
    input_schema, output_schema = AnyInput, AnyOutput

    async def execute(self, input_data: AnyInput) -> AsyncIterator[tuple[str, Any]]:
        self.report_usage(input_tokens=3)
        await asyncio.sleep(60)
        yield "output", 1


class LingersOnce(Lingers):
    id = "lingers.once"
    effects = Effects.AT_MOST_ONCE


class Stays(Lingers):
    """Does not stop when it is told to."""

    id = "lingers.stays"

    async def execute(self, input_data: AnyInput) -> AsyncIterator[tuple[str, Any]]:
        self.report_usage(input_tokens=3)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            try:
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                self.report_usage(input_tokens=1000)
        yield "output", 1


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    registry.register(Lingers, LingersOnce, Stays)
    yield
    with connection.cursor() as cursor:
        # The heartbeat lives as long as the process; its connection must not outlive the test's database.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def graph(block: type[Block], count: int = COUNT, **fields: Any) -> GraphVersion:
    """Return a graph that runs a block for so many items."""
    act = replace(node("act", "test.echo-io"), block_id=block.id, block=facts_of(block), **fields)
    return make_published(
        [node("items", "test.stream", input=1, count=count), act], [LinkSpec("items", "item", "act", "input")]
    )


class Driven:
    """A lane on a thread of its own, so that the test can tell it to stop."""

    def __init__(self, version: GraphVersion) -> None:
        self.execution = make_execution(version)
        (snapshot,) = look([Work(self.execution.pk, Lane("default", (0,)))])
        assert snapshot is not None
        self.inbox: Inbox = SimpleQueue()
        self.run = LaneRun(worker.current(), snapshot, Lane("default", (0,)), self.inbox)
        self.is_listening = threading.Event()
        self.sent: list[Lane] = []
        self.run.route.send = lambda execution_id, canvases: self.sent.extend(canvases)  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._drive, daemon=True)
        self._thread.start()

    @property
    def rows(self) -> set[tuple[str, int, int]]:
        """Status, attempt and crashes of the firings."""
        firings = NodeExecution.objects.filter(execution=self.execution, node_key="act")
        return set(firings.values_list("status", "attempt", "crashes"))

    @property
    def used(self) -> set[int]:
        return {
            row.usage.get("input_tokens", 0) for row in rows_of(self.execution.pk).values() if row.node_key == "act"
        }

    def has_begun(self) -> bool:
        under_way = self.run.on_loop.under_way()
        return bool(under_way) and all(one.course.context for one in under_way)

    def join(self, *, within_s: float = 10.0) -> None:
        self._thread.join(within_s)
        assert not self._thread.is_alive(), "The lane waits for ever."

    def _drive(self) -> None:
        try:
            steps, given = self.run.carry_out(), None
            while True:
                given = self._answer(steps.send(given))
        except StopIteration:
            return
        finally:
            connection.close()

    def _answer(self, request: Request) -> Any:
        if request.needs is Needs.CLAIMS:
            return drive.claim([request.value])[0]
        if request.needs is Needs.SETTLED:
            return settle([request.value])[0]
        self.is_listening.set()
        self.run.hear(self.inbox.get(timeout=10)[1])
        return None


class TestBeforeItBegins:
    """The word to stop may overtake the first step of a firing: then nothing in it has noticed."""

    @pytest.mark.parametrize("why", ["cancel", "leave"])
    def test_each_is_reported_all_the_same(self, why):
        loop = worker.current().loop
        loop.call_soon_threadsafe(time.sleep, 0.5)
        driven = Driven(graph(Lingers))
        assert driven.is_listening.wait(10)

        if why == "cancel":
            services.cancel(driven.execution)
        getattr(driven.run, why)()
        driven.join()

        status = {"cancel": NodeStatus.CANCELLED, "leave": NodeStatus.PENDING}[why]
        assert (driven.rows, driven.used) == ({(status, 1, 0)}, {0})


class TestCancel:
    def test_keeps_what_was_used_and_ends_the_execution(self):
        driven = Driven(graph(Lingers))
        wait_until(driven.has_begun, what="The beginning")

        services.cancel(driven.execution)
        driven.run.cancel()
        driven.join()

        assert (driven.rows, driven.used) == ({(NodeStatus.CANCELLED, 1, 0)}, {3})
        assert (status_of(driven.execution), driven.sent) == (Status.CANCELLED, [])

    def test_is_heard_without_being_told_by_the_test(self):
        driven = Driven(graph(Lingers))
        wait_until(driven.has_begun, what="The beginning")

        services.cancel(driven.execution)
        driven.join(within_s=2.0)

        assert status_of(driven.execution) == Status.CANCELLED

    def test_of_one_that_does_not_stop_settles_it_without_what_comes_later(self):
        driven = Driven(graph(Stays, 2))
        wait_until(driven.has_begun, what="The beginning")

        services.cancel(driven.execution)
        driven.join(within_s=3.0)

        assert (driven.rows, status_of(driven.execution)) == ({(NodeStatus.CANCELLED, 1, 0)}, Status.CANCELLED)
        before = driven.used
        wait_until(lambda: not worker.current().firings, what="The end of what was left behind")
        assert driven.used == before


class TestLeave:
    def test_lets_another_worker_begin_it_again_with_what_it_has_used(self):
        driven = Driven(graph(Lingers))
        wait_until(driven.has_begun, what="The beginning")

        driven.run.leave()
        driven.join()

        assert (driven.rows, driven.used) == ({(NodeStatus.PENDING, 2, 0)}, {3})
        assert (status_of(driven.execution), driven.sent) == (Status.RUNNING, [Lane("default", (0,))])
        assert NodeExecution.objects.filter(execution=driven.execution, history__0__code="").exists()

    def test_leaves_what_must_happen_once_to_whoever_takes_over(self):
        driven = Driven(graph(LingersOnce, 2))
        wait_until(driven.has_begun, what="The beginning")

        driven.run.leave()
        driven.join()

        claims = claim_all(driven.execution, [Wanted("act", (number,), {}) for number in range(2)], worker="w2")
        assert [(claim.attempt, claim.crashes) for claim in claims] == [(2, 1)] * 2

    def test_of_what_a_person_cancels_meanwhile_is_a_cancellation(self):
        driven = Driven(graph(Lingers, 3))
        wait_until(driven.has_begun, what="The beginning")

        at_once(2, lambda number: driven.run.leave() if number else services.cancel(driven.execution))
        driven.join()

        assert (driven.rows, status_of(driven.execution)) in [
            ({(NodeStatus.CANCELLED, 1, 0)}, Status.CANCELLED),
            ({(NodeStatus.CANCELLED, 2, 0)}, Status.CANCELLED),
        ]


class TestTimeLimit:
    def test_of_one_that_swallows_it_counts_as_a_failed_attempt(self):
        driven = Driven(graph(Stays, 1, timeout_s=0.5, retry=Retry(attempts=2, delay_s=100.0, on=("TIMEOUT",))))

        driven.join(within_s=5.0)

        row = rows_of(driven.execution.pk)["act", (0,)]
        assert (row.status, row.attempt, row.history[0]["code"]) == (NodeStatus.PENDING, 2, "TIMEOUT")


class TestStop:
    def test_the_first_reason_stands(self):
        stop = Stop()

        news = [stop.ask(Why.LEAVING), stop.ask(Why.CANCELLED)]

        assert (news, stop.why) == ([True, False], Why.LEAVING)

    def test_a_lost_lease_outweighs_every_other_reason(self):
        stop = Stop()

        news = [stop.ask(Why.CANCELLED), stop.ask(Why.LOST), stop.ask(Why.LOST)]

        assert (news, stop.why) == ([True, True, False], Why.LOST)
