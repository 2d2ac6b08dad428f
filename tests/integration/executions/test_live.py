"""What is told of an execution: everything that its rows say, once, in order, whenever somebody looks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection, transaction

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from executions import invariants, services, statements, waits
from executions.endings import end_stopped
from executions.engine.spec import LinkSpec
from executions.engine.status import NodeStatus, Status
from executions.errors import TooManyReaders
from executions.live import hub, reading, stream
from executions.live.hub import Hub, Kept
from executions.live.reading import MAX_EVENT_BYTES, Told
from executions.models import Execution, LiveEvent, NodeExecution, StatusNote
from executions.retrying import Ask, Mode
from executions.settle import settle
from executions.waits import Reply
from graphs.models import GraphVersion
from tests.blocks import node, number_of
from tests.factories import make_batch, make_claim, make_ended, make_execution, make_published
from tests.factories import make_node_execution as make_row
from tests.integration.executions.races import at_once
from tests.waiters import wait_of, waiting_graph, work_off

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def broker(redis_url: str) -> Iterator[None]:
    """The broker of this process, empty before and after; no worker takes anything from it."""
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushdb()
        yield
        broker.flushdb()
    with connection.cursor() as cursor:
        # The heartbeat lives as long as the process; its connection must not outlive the test's database.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(autouse=True)
def _has_no_gaps() -> Iterator[None]:
    yield
    assert invariants.check(only=["I10"], grace_s=0) == []


FAILS = next(number for number in range(100) if number_of(number) % 3 == 0)


def one_node() -> GraphVersion:
    return make_published([node("only", "test.echo-io", input=1)])


def look(execution: Execution, after: int = 0) -> list[dict[str, Any]]:
    """Return what is told of an execution, as its readers get it."""
    told = reading.look({execution.pk: after}).get(execution.pk, [])
    assert [one.number for one in told] == [json.loads(one.body)["id"] for one in told]
    return [json.loads(one.body) for one in told]


def kinds(execution: Execution, after: int = 0) -> list[str]:
    """Return the kinds of what is told, each with its attempt if it is one."""
    return [
        f"{event['type']} {event['attempt']}" if event["type"] in ("node.started", "node.retrying") else event["type"]
        for event in look(execution, after)
    ]


def run_out(execution: Execution) -> None:
    """Let the lease of whatever runs be over."""
    NodeExecution.objects.filter(execution=execution).update(lease_expires_at=now() - timedelta(minutes=1))


class TestLooking:
    def test_tells_the_whole_story_of_what_has_ended(self):
        version = make_published(
            [node("a", "test.echo-io", input=1), node("b", "test.echo", input=2)],
            [LinkSpec("a", "output", "b", "input")],
        )
        execution = work_off(make_execution(version))

        events = look(execution)

        assert [(event["type"], event.get("node")) for event in events] == [
            ("execution.queued", None),
            ("execution.running", None),
            ("node.started", "a"),
            ("node.succeeded", "a"),
            ("node.started", "b"),
            ("node.succeeded", "b"),
            ("execution.succeeded", None),
        ]
        assert [event["id"] for event in events] == [1, 2, 3, 4, 5, 6, 7]

    def test_tells_the_same_again_and_nothing_twice(self):
        execution = make_execution(one_node())
        first = look(execution)
        claim = make_claim(execution)
        second = look(execution, after=len(first))
        settle([make_batch(execution, [make_ended(make_batch(execution).plan, claim)], segments=[0])])
        third = look(execution, after=len(first) + len(second))

        assert look(execution) == [*first, *second, *third]
        assert [len(first), len(second), len(third)] == [1, 2, 2]

    def test_tells_of_attempts_that_failed_and_were_repeated(self):
        retry = {
            "attempt": 1,
            "started_at": now(),
            "ended_at": now(),
            "code": "BUSY",
            "message": "Later.",
            "cost_microcredits": 7,
        }
        execution = make_execution(one_node())
        claim = make_claim(execution)
        ended = make_ended(
            make_batch(execution).plan, claim, attempt=2, history=(retry,), started_at=now(), ended_at=now()
        )
        settle([make_batch(execution, [ended], segments=[0])])

        assert kinds(execution)[2:6] == ["node.started 1", "node.retrying 1", "node.started 2", "node.succeeded"]
        (tried,) = [event for event in look(execution) if event["type"] == "node.retrying"]
        assert (tried["error"], tried["cost_microcredits"]) == ({"code": "BUSY", "message": "Later."}, 7)

    def test_does_not_tell_a_beginning_again_that_was_seen(self):
        retry = {
            "attempt": 1,
            "started_at": now(),
            "ended_at": now(),
            "code": "BUSY",
            "message": "",
            "cost_microcredits": 0,
        }
        execution = make_execution(one_node())
        claim = make_claim(execution)
        seen = kinds(execution)
        ended = make_ended(
            make_batch(execution).plan, claim, attempt=2, history=(retry,), started_at=now(), ended_at=now()
        )
        settle([make_batch(execution, [ended], segments=[0])])

        assert seen[-1] == "node.started 1"
        assert kinds(execution, after=3)[:3] == ["node.retrying 1", "node.started 2", "node.succeeded"]

    def test_tells_that_another_worker_has_taken_over(self):
        execution = make_execution(one_node())
        make_claim(execution)
        look(execution)
        run_out(execution)

        make_claim(execution, worker="w2")

        assert kinds(execution, after=3) == ["node.started 2"]

    def test_tells_of_waiting_and_of_what_came(self):
        execution = work_off(make_execution(waiting_graph({"approval": {"title": "Send it?"}})))
        before = kinds(execution)
        waits.answer(wait_of(execution), by=execution.owner, reply=Reply(approved=True))
        work_off(execution)

        assert before[2:] == ["node.started 1", "node.waiting", "execution.waiting"]
        assert kinds(execution, after=len(before)) == [
            "node.woken",
            "execution.running",
            "node.started 1",
            "node.succeeded",
            "node.started 1",
            "node.succeeded",
            "execution.succeeded",
        ]
        waiting = look(execution)[3]
        assert (waiting["for"], waiting["title"], waiting["node"]) == ("APPROVAL", "Send it?", "ask")

    def test_tells_the_same_of_waiting_to_whoever_comes_late(self):
        execution = work_off(make_execution(waiting_graph({"approval": {"title": "Send it?"}})))
        waits.answer(wait_of(execution), by=execution.owner, reply=Reply(approved=True))
        work_off(execution)

        told = kinds(execution)

        assert set(told) >= {"node.waiting", "node.woken", "execution.waiting", "node.succeeded"}
        assert told.index("node.waiting") < told.index("execution.waiting") < told.index("node.woken")

    def test_tells_of_pauses(self):
        execution = make_execution(one_node(), launched_at=now())
        make_claim(execution)

        services.pause(execution)
        services.resume(execution)

        assert kinds(execution)[-2:] == ["execution.paused", "execution.resumed"]

    def test_tells_of_a_cancellation(self):
        execution = make_execution(one_node())
        make_claim(execution)
        services.cancel(execution)
        running = kinds(execution)
        run_out(execution)
        end_stopped()

        assert running[-1] == "execution.cancelling"
        assert kinds(execution, after=len(running)) == ["node.cancelled", "execution.cancelled"]

    def test_tells_what_an_execution_failed_of(self):
        execution = make_execution(one_node())
        claim = make_claim(execution)
        error = {"code": "BOOM", "message": "It broke.", "hint": "Mend it."}
        failed = make_ended(make_batch(execution).plan, claim, NodeStatus.FAILED, error=error, is_fatal=True)
        settle([make_batch(execution, [failed])])

        *_, of_node, of_execution = look(execution)

        assert (of_node["type"], of_node["error"]) == ("node.failed", error)
        assert (of_execution["type"], of_execution["error"]) == ("execution.failed", error | {"node": "only"})

    def test_tells_where_the_outputs_stand_of_what_was_taken_over(self):
        version = make_published(
            [node("a", "test.echo-io", input=FAILS), node("b", "test.fail-some")],
            [LinkSpec("a", "output", "b", "input")],
        )
        failed = work_off(make_execution(version))
        assert failed.status == Status.FAILED
        again = services.retry(failed, Ask(mode=Mode.FAILED), owner_id=failed.owner_id)

        (reused,) = [event for event in look(again) if event["type"] == "node.succeeded"]

        assert (reused["reused_from"], "outputs" in reused) == (str(failed.pk), False)

    @pytest.mark.parametrize("size", [MAX_EVENT_BYTES // 2, MAX_EVENT_BYTES - 100, MAX_EVENT_BYTES, 1_000_000])
    def test_leaves_out_what_is_too_large(self, size: int):
        execution = make_execution(status=Status.SUCCEEDED, outputs={"result": "x" * size})
        make_row(execution, outputs={"output": ["x" * size]})

        told = reading.look({execution.pk: 0})[execution.pk]

        assert max(len(one.body) for one in told) <= MAX_EVENT_BYTES
        for event in (json.loads(one.body) for one in told[-2:]):
            is_told = size < MAX_EVENT_BYTES - 1000
            assert ("outputs" in event, event.get("left_out", [])) == (is_told, [] if is_told else ["outputs"])

    def test_leaves_out_an_error_that_is_too_large(self):
        long = "x" * 10_000
        execution = make_execution(status=Status.FAILED, error_code="BOOM", error_message=long, error_hint=long)

        *_, last = look(execution)

        assert (last["type"], last["left_out"][:2]) == ("execution.failed", ["cost_microcredits", "error"])

    def test_begins_with_the_last_ones_for_who_wants_no_more(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(reading, "TAIL", 3)
        execution = work_off(make_execution(one_node()))
        whole = look(execution)

        assert look(execution, after=-1) == whole[-3:]

    def test_at_once_numbers_everything_once(self):
        executions = [work_off(make_execution(one_node())) for _ in range(5)]

        at_once(6, lambda _: [reading.look({one.pk: 0 for one in executions}) for _ in range(3)])

        assert [len(look(one)) for one in executions] == [5] * 5

    def test_leaves_the_numbering_to_who_is_at_it(self):
        execution = make_execution(one_node())

        with transaction.atomic(), statements.cursor() as cursor:
            statements.run(cursor, "live_turns", ids=[execution.pk])
            (told,) = at_once(1, lambda _: reading.look({execution.pk: 0}))

        assert told == {}
        assert len(look(execution)) == 1

    def test_writes_nothing_while_nobody_looks(self):
        work_off(make_execution(one_node()))

        assert (LiveEvent.objects.count(), StatusNote.objects.count()) == (0, 0)


def told(number: int, size: int = 100, kind: str = "node.started") -> Told:
    return Told(number, reading.LiveKind(kind), b"x" * size)


class TestWhatIsKept:
    async def test_is_bounded_and_the_rest_is_read_where_it_is_stored(self):
        kept = Kept(uuid7())

        kept.add([told(number, size=10_000) for number in range(1, 101)])

        assert kept.after(0) is None
        assert kept.after(50) is None
        assert [one.number for one in kept.after(98) or ()] == [99, 100]
        assert kept.after(100) == []
        assert sum(len(one.body) for one in kept._told) <= hub.KEPT_BYTES

    async def test_of_pieces_is_bounded_and_the_first_are_lost(self):
        kept = Kept(uuid7())

        for number in range(100):
            kept.add_piece(b"%d" % number + b"x" * 10_000)

        assert kept.pieces_so_far == 100
        assert len(kept.pieces_after(0)) <= hub.KEPT_BYTES / 10_000
        assert kept.pieces_after(99) == [b"99" + b"x" * 10_000]
        assert kept.pieces_after(100) == []

    async def test_is_told_once_however_often_it_is_read(self):
        kept = Kept(uuid7())

        kept.add([told(1), told(2)])
        kept.add([told(2), told(3)])

        assert [one.number for one in kept.after(0) or ()] == [1, 2, 3]

    async def test_wakes_who_waits(self):
        kept = Kept(uuid7())
        waiting = asyncio.create_task(kept.changed(30))
        await asyncio.sleep(0)

        kept.add([told(1)])

        assert await waiting
        assert not await kept.changed(0.01)


async def test_a_reader_that_takes_nothing_is_left_behind():
    here = Hub()

    async def stall() -> None:
        with here.giving():
            await asyncio.sleep(60)

    stalled = asyncio.create_task(stall())
    await asyncio.sleep(0)
    here._leave_behind(asyncio.get_running_loop().time() - 1)
    await asyncio.sleep(0)
    goes_on = not stalled.done()
    here._leave_behind(asyncio.get_running_loop().time() + 1)

    with pytest.raises(asyncio.CancelledError):
        await stalled
    assert goes_on


def test_a_place_that_nobody_comes_to_is_free_again(settings, monkeypatch):
    settings.AGENTPLATFORM_MAX_EVENT_READERS = 2
    monkeypatch.setattr(stream, "_places", {})
    monkeypatch.setattr(stream, "TAKEN_S", 0.0)
    reads = stream.take_place()

    with reads.kept():
        stream.take_place()
        stream.take_place()
        monkeypatch.setattr(stream, "TAKEN_S", 60.0)
        stream.take_place()
        with pytest.raises(TooManyReaders):
            stream.take_place()


async def test_what_nobody_watches_any_more_is_listened_to_by_nobody():
    """However short it was watched: the client of Redis swallows some of the cancellations that it gets at the wrong moment."""

    async def watch(for_s: float) -> None:
        here = Hub()
        with here.watched(uuid7()):
            await asyncio.sleep(for_s)

    await asyncio.gather(*(watch(number * 0.005) for number in range(60)))
    others = asyncio.all_tasks() - {asyncio.current_task()}
    _, still_there = await asyncio.wait(others, timeout=20) if others else (None, set())

    assert still_there == set()
