"""Who may run a firing: exactly one, until its lease runs out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from agentplatform.lib.clock import now
from executions import leases, statements
from executions.engine.status import NodeStatus, Status
from executions.heartbeat import CHANNEL, Heartbeat
from executions.leases import MAX_LOSSES, Claim, Wanted
from executions.models import Execution, NodeExecution
from executions.plans import plan_of
from executions.settle import settle
from executions.worker import patiently
from tests.factories import (
    claim_all,
    make_batch,
    make_claim,
    make_ended,
    make_execution,
    make_node_execution,
    status_of,
)
from tests.integration.executions.races import at_once
from tests.servers import wait_until

pytestmark = pytest.mark.django_db


def claim(execution: Execution, wanted: list[Wanted] | None = None, *, worker: str = "w1") -> list[Claim]:
    return claim_all(execution, wanted or [Wanted("only", (), {"value": 1})], worker=worker)


def expire_all(execution: Execution) -> None:
    NodeExecution.objects.filter(execution=execution).update(lease_expires_at=now() - timedelta(minutes=1))


class TestClaim:
    def test_takes_a_new_firing_and_begins_the_execution(self):
        execution = make_execution()

        (mine,) = claim(execution)

        row = NodeExecution.objects.get(execution=execution)
        assert mine == Claim(execution.pk, "only", (), fence=row.fence, attempt=1)
        assert (row.status, row.worker, row.inputs, row.item_path) == (NodeStatus.RUNNING, "w1", {"value": 1}, [])
        assert row.lease_expires_at is not None
        assert timedelta(0) < row.lease_expires_at - now() <= leases.lease()
        execution.refresh_from_db()
        assert (execution.status, execution.started_at is None) == (Status.RUNNING, False)

    def test_leaves_what_another_worker_holds(self):
        execution = make_execution()
        claim(execution)

        theirs = claim(execution, worker="w2")

        assert theirs == []
        assert NodeExecution.objects.get(execution=execution).worker == "w1"

    def test_takes_the_rest_where_another_holds_a_part(self):
        execution = make_execution()
        claim(execution, [Wanted("only", (0,), {})])

        mine = claim(execution, [Wanted("only", (number,), {}) for number in range(3)], worker="w2")

        assert sorted(one.path for one in mine) == [(1,), (2,)]

    @pytest.mark.parametrize("status", sorted(set(NodeStatus) - {NodeStatus.RUNNING}))
    def test_leaves_what_does_not_run(self, status):
        execution = make_execution(status=Status.RUNNING)
        make_node_execution(execution, status=status, lease_expires_at=now() - timedelta(hours=1))

        assert claim(execution) == []

    def test_takes_over_what_ran_out_with_a_higher_fence_and_the_next_attempt(self):
        execution = make_execution()
        (first,) = claim(execution)
        expire_all(execution)

        (mine,) = claim(execution, worker="w2")

        row = NodeExecution.objects.get(execution=execution)
        assert mine.fence > first.fence
        assert (mine.attempt, mine.crashes) == (2, 1)
        assert (row.fence, row.attempt, row.crashes, row.worker) == (mine.fence, 2, 1, "w2")
        assert row.lease_expires_at is not None
        assert row.lease_expires_at > now()

    def test_counts_the_end_of_a_worker_against_a_suspect_only_once_it_has_begun(self):
        execution = make_execution()
        for _ in range(MAX_LOSSES - 1):
            claim(execution)
            expire_all(execution)

        counted = []
        for has_begun in (False, False, True):
            (mine,) = claim(execution)
            counted.append((mine.attempt, mine.crashes))
            if has_begun:
                leases.blame([mine])
            expire_all(execution)
        (last,) = claim(execution)

        assert counted == [(3, 2)] * 3
        assert (last.attempt, last.crashes) == (4, 3)

    def test_blames_nobody_on_a_claim_that_was_lost(self):
        execution = make_execution()
        for _ in range(MAX_LOSSES - 1):
            claim(execution)
            expire_all(execution)
        (lost,) = claim(execution)
        expire_all(execution)
        claim(execution, worker="w2")

        leases.blame([lost])

        assert not NodeExecution.objects.get(execution=execution).is_to_blame

    def test_whose_answer_was_lost_finds_its_own(self):
        execution, wanted = make_execution(), [Wanted("only", (number,), {}) for number in range(2)]
        lost = claim(execution, wanted)

        found = claim(execution, wanted)

        assert [(one.attempt, one.crashes) for one in found] == [(1, 0)] * 2
        assert min(one.fence for one in found) > max(one.fence for one in lost)
        assert claim(execution, [Wanted("only", (number,), {}) for number in range(2)]) == []

    def test_whose_answer_was_lost_finds_its_own_also_when_its_lease_has_run_out(self):
        execution, wanted = make_execution(), [Wanted("only", (), {})]
        claim(execution, wanted)
        expire_all(execution)

        (found,) = claim(execution, wanted)

        assert (found.attempt, found.crashes) == (1, 0)

    def test_whose_answer_was_lost_leaves_what_another_has_taken_over(self):
        execution, wanted = make_execution(), [Wanted("only", (), {})]
        claim(execution, wanted)
        expire_all(execution)
        claim(execution, worker="w2")

        assert claim(execution, wanted) == []

    @pytest.mark.parametrize("status", sorted(set(Status) - {Status.QUEUED, Status.RUNNING, Status.WAITING}))
    def test_takes_nothing_of_an_execution_that_does_not_run(self, status):
        execution = make_execution(status=status)

        assert claim(execution) == []
        assert not NodeExecution.objects.filter(execution=execution).exists()
        assert status_of(execution) == status

    def test_takes_nothing_of_an_execution_that_is_paused(self):
        execution = make_execution(is_paused=True)

        assert claim(execution) == []
        assert status_of(execution) == Status.QUEUED

    def test_lets_an_execution_that_waited_run_again(self):
        execution = make_execution(status=Status.WAITING)

        claim(execution)

        assert status_of(execution) == Status.RUNNING

    def test_begins_again_what_is_due_without_counting_another_attempt(self):
        execution = make_execution(status=Status.RUNNING)
        make_node_execution(execution, status=NodeStatus.PENDING, attempt=2, due_at=now() - timedelta(minutes=1))

        (mine,) = claim(execution)

        assert (mine.attempt, mine.crashes) == (2, 0)
        assert NodeExecution.objects.get(execution=execution).due_at is None

    def test_leaves_what_is_not_due_yet(self):
        execution = make_execution(status=Status.RUNNING)
        make_node_execution(execution, status=NodeStatus.PENDING, due_at=now() + timedelta(hours=1))

        assert claim(execution) == []

    def test_takes_nothing_of_an_execution_that_stops(self):
        execution = make_execution(status=Status.RUNNING, is_stopping=True)
        make_node_execution(execution, status=NodeStatus.RUNNING, lease_expires_at=now() - timedelta(hours=1))

        assert claim(execution) == []

    def test_takes_nothing_of_an_execution_that_is_not_there(self):
        execution = make_execution()
        Execution.objects.all().delete()

        assert claim(execution) == []

    def test_takes_more_than_fits_into_one_value_of_the_database(self, monkeypatch):
        monkeypatch.setattr(statements, "MAX_PORTION_BYTES", 100)
        execution = make_execution()

        claims = claim(execution, [Wanted("only", (number,), {"value": "x" * 40}) for number in range(10)])

        assert {one.path for one in claims} == {(number,) for number in range(10)}

    @pytest.mark.django_db(transaction=True)
    def test_is_on_disk_before_something_begins_that_may_happen_once_only(self):
        execution = make_execution()
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = on")
            cursor.execute("SELECT pg_current_wal_insert_lsn()")
            (before,) = cursor.fetchone()

        claim(execution, [Wanted("only", (), {}, is_once=True)])

        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_flush_lsn() > %s::pg_lsn", [before])
            (is_flushed,) = cursor.fetchone()
            cursor.execute("RESET synchronous_commit")
        assert is_flushed

    def test_does_not_begin_a_second_time(self):
        execution = make_execution()
        claim(execution)
        begun = Execution.objects.get(pk=execution.pk).started_at

        claim(execution, [Wanted("only", (7,), {})], worker="w2")

        assert Execution.objects.get(pk=execution.pk).started_at == begun


class TestVouch:
    def lose(self, execution: Execution, times: int) -> list[Claim]:
        """Return claims of which each was taken over from the one before; nobody holds the last one either."""
        lost = []
        for number in range(times):
            lost += claim(execution, worker=f"w{number}")
            leases.blame(lost[-1:])
            expire_all(execution)
        return lost

    def test_keeps_a_worker_that_lives_from_being_counted_as_lost(self):
        execution = make_execution()
        lost = self.lose(execution, MAX_LOSSES + 1)

        for one in lost:
            leases.vouch([one])
        (mine,) = claim(execution)

        assert (mine.crashes, mine.losses, mine.attempt) == (MAX_LOSSES + 1, 1, MAX_LOSSES + 2)

    def test_says_of_which_it_has_to_be_said_again(self):
        execution = make_execution()
        (held,) = claim(execution)

        before = leases.vouch([held])
        expire_all(execution)
        claim(execution, worker="w2")

        # Nobody had taken it over; then it was struck out, which the next look sees.
        assert [before, leases.vouch([held]), leases.vouch([held])] == [[held], [held], []]

    def test_counts_once_however_often_it_is_said(self):
        execution = make_execution()
        first, *_ = self.lose(execution, MAX_LOSSES)
        claim(execution)

        for _ in range(3):
            leases.vouch([first])

        assert len(NodeExecution.objects.get().lost_fences) == MAX_LOSSES - 1

    def test_changes_nothing_that_has_ended(self):
        execution = make_execution()
        (lost,) = self.lose(execution, 1)
        (mine,) = claim(execution)
        settle([make_batch(execution, [make_ended(plan_of(execution.version_id), mine)])])

        assert leases.vouch([lost]) == []
        assert NodeExecution.objects.get().lost_fences == [lost.fence]


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_one_of_many_wins_each_firing(self):
        execution = make_execution()
        wanted = [Wanted("only", (number,), {}) for number in range(20)]

        won = at_once(8, lambda number: patiently(claim, execution, shuffled(wanted, number), worker=f"w{number}"))

        paths = [one.path for claims in won for one in claims]
        assert sorted(paths) == [one.path for one in wanted]
        assert len({one.fence for claims in won for one in claims}) == len(paths)

    def test_one_of_many_takes_over_what_ran_out(self):
        execution = make_execution()
        wanted = [Wanted("only", (number,), {}) for number in range(20)]
        first = claim(execution, wanted)
        expire_all(execution)

        won = at_once(8, lambda number: patiently(claim, execution, shuffled(wanted, number), worker=f"heir-{number}"))

        taken = [one for claims in won for one in claims]
        assert sorted((one.path, one.attempt) for one in taken) == [(one.path, 2) for one in wanted]
        assert min(one.fence for one in taken) > max(one.fence for one in first)

    def test_a_claim_and_a_stop_do_not_cross(self):
        """Either the claim came first and its row is seen by whoever stops, or it takes nothing."""
        for _ in range(20):
            execution = make_execution(status=Status.RUNNING)

            def act(number: int, execution: Execution = execution) -> Any:
                if number:
                    return claim(execution)
                Execution.objects.filter(pk=execution.pk).update(is_stopping=True)
                return NodeExecution.objects.filter(execution=execution).count()

            seen, claims = at_once(2, act)

            assert seen == len(claims)


class TestRenew:
    def test_extends_what_is_ours(self):
        execution = make_execution()
        mine = make_claim(execution, path=(1, 2))
        expire_all(execution)

        lost = leases.renew([mine])

        row = NodeExecution.objects.get(execution=execution)
        assert lost == {}
        assert row.lease_expires_at is not None
        assert row.lease_expires_at > now()

    def test_leaves_what_was_taken_over_and_says_so(self):
        execution = make_execution()
        mine = make_claim(execution)
        expire_all(execution)
        make_claim(execution, worker="w2")
        before = NodeExecution.objects.get(execution=execution).lease_expires_at

        lost = leases.renew([mine])

        assert lost == {mine: False}
        assert NodeExecution.objects.get(execution=execution).lease_expires_at == before

    def test_of_a_firing_that_a_worker_took_over_from_itself_only_the_earlier_claim_is_lost(self):
        execution = make_execution()
        before = make_claim(execution)
        expire_all(execution)
        mine = make_claim(execution)

        assert leases.renew([before, mine]) == {before: False}

    def test_says_what_was_cancelled(self):
        execution = make_execution()
        mine = make_claim(execution)
        Execution.objects.filter(pk=execution.pk).move(Status.CANCELLING)

        assert leases.renew([mine]) == {mine: True}

    def test_leaves_what_has_ended(self):
        execution = make_execution(status=Status.RUNNING)
        row = make_node_execution(execution)

        assert leases.renew([Claim(execution.pk, "only", (), fence=row.fence, attempt=1)]) == {}

    def test_renews_claims_of_several_executions_at_once(self):
        executions = [make_execution() for _ in range(3)]
        claims = [make_claim(execution) for execution in executions]
        for execution in executions:
            expire_all(execution)

        leases.renew(claims)

        assert NodeExecution.objects.filter(execution__in=executions, lease_expires_at__gt=now()).count() == 3


class TestGiveUp:
    def test_lets_another_worker_take_over_at_once(self):
        execution = make_execution()
        mine = make_claim(execution)

        leases.give_up([mine])

        assert make_claim(execution, worker="w2").fence > mine.fence

    def test_leaves_what_was_taken_over(self):
        execution = make_execution()
        mine = make_claim(execution)
        expire_all(execution)
        make_claim(execution, worker="w2")

        leases.give_up([mine])

        assert claim(execution, worker="w3") == []


def shuffled(wanted: list[Wanted], turn: int) -> list[Wanted]:
    """Return the same in another order: whoever locks rows in an order of its own may wait in a circle."""
    return [*wanted[turn:], *wanted[:turn]] if turn % 2 else [*reversed(wanted)]


class Listener:
    """Somebody who holds leases."""

    def __init__(self) -> None:
        self.lost = threading.Event()
        self.cancelled = threading.Event()

    def lose(self) -> None:
        self.lost.set()

    def cancel(self) -> None:
        self.cancelled.set()


def notify(*ids: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, ",".join(map(str, ids))])


def cut_other_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def listeners() -> int:
    """Return how many connections are idle that have listened, and then renewed what is held."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND state = 'idle' AND query LIKE 'WITH relaxed%%'",
            [],
        )
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
class TestHeartbeat:
    @pytest.fixture
    def heartbeat(self, settings: Any) -> Iterator[Heartbeat]:
        settings.AGENTPLATFORM_HEARTBEAT_S = 0.05
        heartbeat = Heartbeat()
        heartbeat.start()
        yield heartbeat
        heartbeat.drop(list(heartbeat._held))
        # Its thread lives as long as the process; its connection must not outlive the test's database.
        cut_other_connections()

    def test_keeps_a_lease_alive(self, heartbeat):
        claim, listener = make_claim(make_execution()), Listener()
        heartbeat.hold({claim: listener})
        before = NodeExecution.objects.get().lease_expires_at

        wait_until(lambda: NodeExecution.objects.get().lease_expires_at > before, what="The renewal")

        assert not listener.lost.is_set()

    def test_tells_who_has_lost_a_lease(self, heartbeat):
        execution, listener = make_execution(), Listener()
        claim = make_claim(execution)
        expire_all(execution)
        make_claim(execution, worker="w2")

        heartbeat.hold({claim: listener})

        assert listener.lost.wait(10)

    def test_speaks_for_what_was_let_go_until_somebody_has_taken_it_over(self, heartbeat):
        execution = make_execution()
        claim = make_claim(execution)
        heartbeat.hold({claim: Listener()})

        heartbeat.let_go([claim])
        expire_all(execution)
        make_claim(execution, worker="w2")

        wait_until(lambda: NodeExecution.objects.get().lost_fences == [], what="Its word")
        wait_until(lambda: not heartbeat._is_needed.is_set(), what="Its rest")
        assert NodeExecution.objects.get().crashes == 1

    def test_speaks_for_nothing_where_its_process_is_to_end(self, heartbeat):
        first, second = make_execution(), make_execution()
        claim, other = make_claim(first), make_claim(second)
        for execution in (first, second):
            expire_all(execution)
            make_claim(execution, worker="w2")

        heartbeat.let_go([claim])
        heartbeat.doom()
        heartbeat.let_go([other])

        assert not heartbeat._gone

    def test_does_not_take_an_end_for_a_loss(self, heartbeat):
        """Between the commit of a settle and its answer the row has ended, and its lease is still held here."""
        execution, listener = make_execution(), Listener()
        claims = claim_all(execution, [Wanted("only", (number,), {}) for number in range(2)])
        heartbeat.hold(dict.fromkeys(claims, listener))

        settle([make_batch(execution, [make_ended(plan_of(execution.version_id), claims[0])])])

        assert not listener.lost.wait(0.5)

    def test_hears_at_once_who_was_cancelled(self, heartbeat, settings):
        settings.AGENTPLATFORM_HEARTBEAT_S = 60.0
        executions, held = [make_execution() for _ in range(2)], [Listener() for _ in range(2)]
        claims = [make_claim(execution) for execution in executions]
        heartbeat.hold(dict(zip(claims, held, strict=True)))
        wait_until(listeners, what="Listening")

        notify(make_execution().pk, executions[0].pk)

        assert held[0].cancelled.wait(1)
        assert not held[1].cancelled.is_set()

    def test_hears_it_of_a_claim_that_is_noted_only_afterwards(self, heartbeat, settings):
        settings.AGENTPLATFORM_HEARTBEAT_S = 60.0
        first, second, late = make_execution(), make_execution(), Listener()
        heartbeat.hold({make_claim(first): Listener()})
        claim = make_claim(second)
        wait_until(lambda: notify(second.pk) or second.pk in heartbeat._cancelled, what="Hearing")

        heartbeat.hold({claim: late})

        assert late.cancelled.is_set()

    def test_learns_it_by_renewing_where_nothing_is_told(self, heartbeat):
        execution, listener = make_execution(), Listener()
        heartbeat.hold({make_claim(execution): listener})

        Execution.objects.filter(pk=execution.pk).move(Status.CANCELLING)

        assert listener.cancelled.wait(10)

    def test_hears_again_after_its_connection_was_cut(self, heartbeat, settings):
        settings.AGENTPLATFORM_HEARTBEAT_S = 1.0
        execution, listener = make_execution(), Listener()
        heartbeat.hold({make_claim(execution): listener})
        wait_until(listeners, what="Listening")
        cut_other_connections()
        wait_until(lambda: not listeners(), what="The cut")
        wait_until(listeners, what="Listening again")
        settings.AGENTPLATFORM_HEARTBEAT_S = 60.0

        wait_until(lambda: notify(execution.pk) or listener.cancelled.is_set(), within_s=5, what="Hearing")
