"""A lane comes to an end whatever its blocks do, and whoever else works on the same execution."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from queue import SimpleQueue
from typing import Any

import pytest
import redis
from django.db import connection

from agentplatform.lib.clock import now
from blocks import registry
from blocks.sdk import Block, BlockError, Placement
from executions import drive as drives
from executions import runner, worker
from executions.engine.compile import Chord, Lane, Limits, compile
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import NodeStatus, Status
from executions.errors import LeaseLost
from executions.lane_run import LaneRun
from executions.leases import MAX_CRASHES, MAX_LOSSES, Wanted
from executions.messages import Work
from executions.models import Execution
from executions.needs import Inbox, Needs, Request
from executions.plans import plan_of
from executions.settle import settle
from executions.snapshot import look
from graphs.models import GraphVersion
from tests.blocks import AnyInput, AnyOutput, facts_of, node
from tests.factories import claim_all, make_execution, make_node_execution, make_published, rows_of
from tests.integration.executions.races import at_once

pytestmark = pytest.mark.django_db(transaction=True)

LANE = Lane("default", (0,))


#: What `Raises` raises, by name: a graph could not hold all of it.
ERRORS: dict[str, dict[str, Any]] = {
    "a number for a code": {"code": 404},
    "a long code": {"code": "X" * 99},
    "no text": {"message": "a\0b\ud800"},
}


class Unruly(Block):
    """Does what its subclass does, then yields."""

    name = "Unruly"
    description = "Does not behave."
    placement = Placement.IO
    input_schema, output_schema = AnyInput, AnyOutput

    async def execute(self, input_data: AnyInput) -> AsyncIterator[tuple[str, Any]]:
        await self.misbehave(input_data.input)
        yield "output", 1

    async def misbehave(self, how: Any) -> None:
        raise NotImplementedError


class LetsACancellationEscape(Unruly):
    id = "unruly.cancelled"

    async def misbehave(self, how: Any) -> None:
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel()
        await task


class Exits(Unruly):
    id = "unruly.exits"

    async def misbehave(self, how: Any) -> None:
        sys.exit(2)


class ExitsInline(Exits):
    id = "unruly.exits-inline"
    placement = Placement.INLINE


class Raises(Unruly):
    id = "unruly.raises"

    async def misbehave(self, how: Any) -> None:
        raise BlockError(**{"message": "No.", **ERRORS[how]})


class Reports(Unruly):
    id = "unruly.reports"

    async def misbehave(self, how: Any) -> None:
        self.report_usage(**{name: float(amount) for name, amount in how.items()})


class ReportsThenFails(Unruly):
    id = "unruly.reports-then-fails"

    async def misbehave(self, how: Any) -> None:
        self.report_usage(input_tokens=3)
        raise BlockError("No.")


class Dawdles(Unruly):
    id = "unruly.dawdles"

    async def misbehave(self, how: Any) -> None:
        await asyncio.sleep(60)


UNRULY: list[type[Unruly]] = [
    *[LetsACancellationEscape, Exits, ExitsInline, Raises],
    *[Reports, ReportsThenFails, Dawdles],
]


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    registry.register(*UNRULY)
    yield
    with connection.cursor() as cursor:
        # The heartbeat lives as long as the process; its connection must not outlive the test's database.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
def broker(redis_url: str) -> Iterator[redis.Redis]:
    """The broker of this process, empty before and after; no worker takes anything from it."""
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushdb()
        yield broker
        broker.flushdb()


def unruly(block: type[Block], key: str = "act", **constants: Any) -> NodeSpec:
    return NodeSpec(key, block.id, {"input": None, **constants}, block=facts_of(block))


def run(version: GraphVersion) -> Execution:
    """Run the first lane of a new execution on a thread, as a worker does, and return what became of it."""
    execution = make_execution(version)

    def drive() -> None:
        try:
            runner.run_lanes([Work(execution.pk, LANE)])
        finally:
            connection.close()

    thread = threading.Thread(target=drive, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "The lane waits for ever."
    execution.refresh_from_db()
    return execution


def begin(execution: Execution, lane: Lane) -> LaneRun:
    (snapshot,) = look([Work(execution.pk, lane)])
    assert snapshot is not None
    inbox: Inbox = SimpleQueue()
    return LaneRun(worker.current(), snapshot, lane, inbox)


def answer(request: Request, run: LaneRun) -> Any:
    """Give a lane what it needs, as the runner does."""
    if request.needs is Needs.CLAIMS:
        return drives.claim([request.value])[0]
    if request.needs is Needs.SETTLED:
        return settle([request.value])[0]
    run.hear(run.inbox.get(timeout=10)[1])
    return None


def drive(lane: LaneRun) -> Lane | None:
    """Carry a lane out. Return the one it would go on with in its place."""
    steps = lane.carry_out()
    given = None
    while True:
        try:
            request = steps.send(given)
        except StopIteration as end:
            following: Lane | None = end.value
            return following
        given = answer(request, lane)


class TestABlock:
    @pytest.mark.parametrize("block", [LetsACancellationEscape, Exits, ExitsInline])
    def test_that_does_not_even_fail_properly_has_crashed(self, block):
        ended = run(make_published([unruly(block)]))

        assert (ended.status, ended.error_code) == (Status.FAILED, "BLOCK_CRASHED")

    def test_that_exits_leaves_the_event_loop_to_the_others(self):
        run(make_published([unruly(Exits)]))

        assert run(make_published([node("a", "test.echo-io", input=1)])).status == Status.SUCCEEDED

    @pytest.mark.parametrize(
        ("error", "code"),
        [("a number for a code", "404"), ("a long code", "X" * 64), ("no text", "BLOCK_ERROR")],
    )
    def test_may_fail_with_any_error(self, error, code):
        ended = run(make_published([unruly(Raises, input=error)]))

        assert (ended.status, ended.error_code) == (Status.FAILED, code)

    def test_may_put_any_text_on_its_error_pin(self):
        nodes = [unruly(Raises, input="no text"), node("out", "test.output", name="error")]

        ended = run(make_published(nodes, [LinkSpec("act", "error", "out", "input")]))

        assert ended.status == Status.SUCCEEDED
        assert ended.outputs["error"]["message"] == "a\ufffdb\ufffd"

    def test_may_report_whole_amounts_as_fractions(self):
        ended = run(make_published([unruly(Reports, input={"input_tokens": "12.0", "output_tokens": "0.5"})]))

        assert (ended.status, ended.input_tokens, ended.output_tokens) == (Status.SUCCEEDED, 12, 1)

    @pytest.mark.parametrize("amounts", [{"usd": "nan"}, {"usd": "inf"}, {"input_tokens": "1e30"}])
    def test_fails_if_it_reports_what_can_not_be_added_up(self, amounts):
        ended = run(make_published([unruly(Reports, input=amounts)]))

        assert (ended.status, ended.error_code) == (Status.FAILED, "USAGE_INVALID")

    def test_that_fails_has_used_what_it_reported(self):
        ended = run(make_published([unruly(ReportsThenFails)]))

        assert (ended.status, ended.input_tokens) == (Status.FAILED, 3)


class TestALane:
    def test_that_is_lost_while_it_does_not_listen_waits_for_no_news(self):
        execution = make_execution(make_published([unruly(Dawdles), node("quick", "test.echo-io", input=1)]))
        lane = begin(execution, Lane("default", (0, 1)))
        steps = lane.carry_out()
        request = next(steps)
        while request.needs is not Needs.SETTLED:
            request = steps.send(answer(request, lane))

        lane.lose()
        lane.hear(lane.inbox.get(timeout=10)[1])

        with pytest.raises(LeaseLost):
            steps.send(answer(request, lane))

    def test_of_a_chord_goes_on_with_nothing_else_as_the_join_waits_for_it(self, broker):
        nodes = [node("a", "test.echo-cpu", input=1), node("b", "test.echo-cpu", input=2)]
        nodes += [node("join", "test.pair"), node("beside", "test.echo-cpu")]
        links = [LinkSpec("a", "output", "join", "a"), LinkSpec("b", "output", "join", "b")]
        execution = make_execution(make_published(nodes, [*links, LinkSpec("a", "output", "beside", "input")]))
        plan = plan_of(execution.version_id)
        (chord,) = compile(plan, (), Limits())
        assert isinstance(chord, Chord)
        header = next(one for one in chord.header if one.segments == (plan.nodes[plan.index_of["a"]].segment,))
        lane = begin(execution, header)

        following = drive(lane)

        assert following is None
        assert broker.llen("cpu") == 1

    def test_does_not_spread_what_others_run_already(self, settings, broker):
        settings.AGENTPLATFORM_CHUNK_ITEMS = 2
        nodes = [node("items", "test.stream", input="x", count=5), node("each", "test.echo-io")]
        execution = make_execution(make_published(nodes, [LinkSpec("items", "item", "each", "input")]))
        make_node_execution(execution, "items", outputs={"item": list("abcde"), "count": [5]})
        claim_all(execution, [Wanted("each", (number,), {}) for number in range(5)])

        runner.run_lanes([Work(execution.pk, LANE)])

        assert broker.llen("default") == 0

    def test_does_not_get_what_another_lane_of_the_message_got(self):
        execution = make_execution()
        ask = (execution.pk, [Wanted("only", (), {})])

        claims = drives.claim([ask, ask])

        assert [len(granted) for granted in claims] == [1, 0]

    @pytest.mark.parametrize(
        ("crashes", "lost", "end"),
        [
            (MAX_LOSSES - 1, [1, 2], (Status.FAILED, "POISON")),
            (MAX_CRASHES - 1, [], (Status.FAILED, "STARVED")),
            (MAX_CRASHES - 2, [1], (Status.SUCCEEDED, "")),
        ],
        ids=["lost again", "slow again", "slow so far"],
    )
    def test_gives_up_what_ends_its_workers_or_what_none_of_them_can_hold(
        self, crashes: int, lost: list[int], end: Any
    ):
        execution = make_execution(make_published([node("a", "test.echo-io", input=1)]), status=Status.RUNNING)
        held = {"status": NodeStatus.RUNNING, "lease_expires_at": now() - timedelta(hours=1), "fence": 3}
        make_node_execution(execution, "a", crashes=crashes, attempt=crashes + 1, lost_fences=lost, **held)

        runner.run_lanes([Work(execution.pk, LANE)])

        execution.refresh_from_db()
        assert (execution.status, execution.error_code) == end

    def test_of_a_stopping_execution_ends_it_if_those_that_ran_are_gone(self, settings):
        settings.AGENTPLATFORM_LEASE_S = -1
        version = make_published([node("a", "test.echo-io", input=1), node("b", "test.echo-io", input=2)])
        execution = make_execution(version, status=Status.QUEUED)
        claim_all(execution, [Wanted("a", (), {})])
        Execution.objects.filter(pk=execution.pk).update(is_stopping=True, error_code="PROBE_FAILED")

        runner.run_lanes([Work(execution.pk, LANE)])

        execution.refresh_from_db()
        assert (execution.status, execution.error_code) == (Status.FAILED, "PROBE_FAILED")
        assert rows_of(execution.pk)["a", ()].status == NodeStatus.CANCELLED


def test_there_is_one_worker_in_a_process():
    worker._only.cache_clear()

    workers = at_once(16, lambda _: worker.current())

    assert len(set(workers)) == 1
