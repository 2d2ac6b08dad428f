"""What a worker has found out is written once, or not at all."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from agentplatform.lib.clock import now
from blocks.sdk import BlockError
from executions import leases
from executions.batch import Batch, Ended, Settled
from executions.engine.items import Outcome
from executions.engine.plan import Plan
from executions.engine.progress import Closed
from executions.engine.spec import LinkSpec
from executions.engine.status import NodeStatus, Status
from executions.errors import LeaseLost, NotRunning
from executions.models import Execution, NodeExecution
from executions.plans import plan_of
from executions.settle import settle as settle_all
from executions.settle import stop_if_idle
from executions.worker import patiently
from graphs.models import GraphVersion
from tests.blocks import node
from tests.factories import (
    make_batch,
    make_claim,
    make_ended,
    make_execution,
    make_node_execution,
    make_published,
    rows_of,
    status_of,
)
from tests.integration.executions.races import at_once

pytestmark = pytest.mark.django_db

ERROR = BlockError("No.", code="PROBE_FAILED", hint="Try again.").as_dict()


def two_segments() -> GraphVersion:
    """Return a graph of two nodes that know nothing of each other, in two segments."""
    return make_published([node("a", "test.echo-io", input=1), node("b", "test.echo-io", input=2)])


def settle(batch: Batch) -> Settled:
    """Settle one batch.

    Raises:
        LeaseLost, NotRunning: nothing was written.
    """
    (settled,) = settle_all([batch])
    if not isinstance(settled, Settled):
        raise settled
    return settled


def planned(execution: Execution) -> Plan:
    return plan_of(execution.version_id)


def unclaimed(execution: Execution, key: str) -> Ended:
    """Return how a cheap firing ended that needed no claim of its own."""
    ended = make_ended(planned(execution), leases.Claim(execution.pk, key, (), fence=1, attempt=1))
    ended.claim = None
    return ended


def failed(execution: Execution, claim: leases.Claim) -> Ended:
    return make_ended(planned(execution), claim, NodeStatus.FAILED, error=ERROR, is_fatal=True)


def run_out(execution: Execution) -> None:
    NodeExecution.objects.filter(execution=execution).update(lease_expires_at=now() - timedelta(minutes=1))


class TestSettle:
    def test_writes_how_a_firing_ended(self):
        execution = make_execution(two_segments())
        claim = make_claim(execution, "a")
        ended = make_ended(planned(execution), claim, usage={"input_tokens": 3}, cost_microcredits=7)

        settled = settle(make_batch(execution, [ended]))

        row = rows_of(execution.pk)["a", ()]
        assert settled == Settled(done=frozenset())
        assert (row.status, row.outputs, row.lease_expires_at) == (NodeStatus.SUCCEEDED, {"output": ["source"]}, None)
        assert (row.usage, row.cost_microcredits, row.ended_at) == ({"input_tokens": 3}, 7, ended.ended_at)

    def test_writes_cheap_firings_and_closed_paths_beside_it(self):
        execution = make_execution(two_segments())
        ended = make_ended(planned(execution), make_claim(execution, "a"))
        closed = Closed(planned(execution).index_of["b"], (1,), NodeStatus.INCOMPLETE, ("input",))

        settle(make_batch(execution, [ended, unclaimed(execution, "b")], closed=[closed]))

        rows = rows_of(execution.pk)
        assert {key: row.status for key, row in rows.items()} == {
            ("a", ()): NodeStatus.SUCCEEDED,
            ("b", ()): NodeStatus.SUCCEEDED,
            ("b", (1,)): NodeStatus.INCOMPLETE,
        }
        assert rows["b", (1,)].missing_pins == ["input"]

    def test_ends_the_execution_with_its_last_segment_and_adds_up(self):
        version = make_published(
            [node("a", "test.echo-io", input=1), node("out", "test.output", name="answer")],
            [LinkSpec("a", "output", "out", "input")],
        )
        execution = make_execution(version)
        plan = planned(execution)
        usage = {"input_tokens": 3, "output_tokens": 2}
        ended = make_ended(plan, make_claim(execution, "a"), usage=usage, cost_microcredits=5)
        out = unclaimed(execution, "out")
        out.usage, out.cost_microcredits, out.outcome = usage, 6, Outcome(NodeStatus.SUCCEEDED, {"output": [42]})

        known = {out.node: {(): out.outcome}}

        settled = settle(make_batch(execution, [ended, out], segments=[0], known_outputs=known))

        execution.refresh_from_db()
        assert settled.is_final
        assert (execution.status, execution.outputs) == (Status.SUCCEEDED, {"answer": 42})
        assert (execution.input_tokens, execution.output_tokens, execution.cost_microcredits) == (6, 4, 11)
        assert execution.ended_at is not None

    def test_notes_a_segment_and_goes_on(self):
        execution = make_execution(two_segments())
        ended = make_ended(planned(execution), make_claim(execution, "a"))

        settled = settle(make_batch(execution, [ended], segments=[0]))

        execution.refresh_from_db()
        assert settled == Settled(done=frozenset({0}))
        assert (execution.status, execution.segments_done) == (Status.RUNNING, [0])

    def test_writes_nothing_for_a_worker_whose_lease_was_taken_over(self):
        execution = make_execution(two_segments())
        late = make_claim(execution, "a")
        run_out(execution)
        make_claim(execution, "a", worker="w2")

        with pytest.raises(LeaseLost):
            settle(make_batch(execution, [make_ended(planned(execution), late)], segments=[0]))

        execution.refresh_from_db()
        row = rows_of(execution.pk)["a", ()]
        assert (row.status, row.worker, row.outputs) == (NodeStatus.RUNNING, "w2", {})
        assert execution.segments_done == []

    def test_writes_nothing_for_a_late_worker_after_the_other_has_settled(self):
        execution = make_execution(two_segments())
        late = make_claim(execution, "a")
        run_out(execution)
        taken_over = make_claim(execution, "a", worker="w2")
        settle(make_batch(execution, [make_ended(planned(execution), taken_over, outputs={"output": ["w2"]})]))

        with pytest.raises(LeaseLost):
            settle(make_batch(execution, [make_ended(planned(execution), late, outputs={"output": ["w1"]})]))

        assert rows_of(execution.pk)["a", ()].outputs == {"output": ["w2"]}

    def test_still_writes_what_ran_out_and_nobody_took_over(self):
        execution = make_execution(two_segments())
        claim = make_claim(execution, "a")
        run_out(execution)

        settle(make_batch(execution, [make_ended(planned(execution), claim)]))

        assert rows_of(execution.pk)["a", ()].status == NodeStatus.SUCCEEDED

    def test_writes_all_or_nothing(self):
        execution = make_execution(two_segments())
        plan = planned(execution)
        kept, lost = make_claim(execution, "a"), make_claim(execution, "b")
        NodeExecution.objects.filter(execution=execution, node_key="b").update(fence=2)
        closed = [Closed(0, (5,), NodeStatus.SKIPPED)]

        with pytest.raises(LeaseLost):
            settle(make_batch(execution, [make_ended(plan, kept), make_ended(plan, lost)], closed=closed, segments=[0]))

        assert {row.status for row in rows_of(execution.pk).values()} == {NodeStatus.RUNNING}
        assert Execution.objects.get(pk=execution.pk).segments_done == []

    def test_writes_nothing_if_somebody_else_ran_a_cheap_firing_of_it(self):
        execution = make_execution(two_segments())
        claim = make_claim(execution, "a")
        make_node_execution(execution, "b", outputs={"output": ["theirs"]})

        with pytest.raises(LeaseLost):
            settle(make_batch(execution, [make_ended(planned(execution), claim), unclaimed(execution, "b")]))

        rows = rows_of(execution.pk)
        assert rows["a", ()].status == NodeStatus.RUNNING
        assert rows["b", ()].outputs == {"output": ["theirs"]}

    def test_leaves_a_closed_path_that_is_there_already(self):
        execution = make_execution(two_segments(), status=Status.RUNNING)
        closed = [Closed(1, (3,), NodeStatus.SKIPPED)]

        settle(make_batch(execution, closed=closed))
        settle(make_batch(execution, closed=closed))

        assert NodeExecution.objects.filter(execution=execution).count() == 1

    @pytest.mark.parametrize("status", [Status.CANCELLED, Status.FAILED, Status.SUCCEEDED])
    @pytest.mark.parametrize("segments", [[0], [0, 1]])
    def test_writes_nothing_once_the_execution_does_not_run(self, status, segments):
        execution = make_execution(two_segments())
        ended = make_ended(planned(execution), make_claim(execution, "a"))
        Execution.objects.filter(pk=execution.pk).update(status=status, ended_at=now())

        with pytest.raises(NotRunning):
            settle(make_batch(execution, [ended], segments=segments))

        assert rows_of(execution.pk)["a", ()].status == NodeStatus.RUNNING


class TestTogether:
    """What several lanes have found out is written with one commit, and none spoils it for the others."""

    def test_writes_batches_of_several_executions(self):
        executions = [make_execution(two_segments()) for _ in range(3)]

        settled = settle_all([_one_batch_each(execution)[0] for execution in executions])

        assert settled == [Settled(done=frozenset({0}))] * 3
        assert {rows_of(execution.pk)["a", ()].status for execution in executions} == {NodeStatus.SUCCEEDED}

    def test_ends_an_execution_whose_last_segments_come_in_two_batches(self):
        execution = make_execution(two_segments())

        settled = settle_all(_one_batch_each(execution))

        assert [one.is_final for one in settled if isinstance(one, Settled)] == [False, True]
        assert status_of(execution) == Status.SUCCEEDED

    def test_writes_all_but_the_one_that_is_refused(self):
        executions = [make_execution(two_segments()) for _ in range(3)]
        batches = [_one_batch_each(execution)[0] for execution in executions]
        run_out(executions[1])
        make_claim(executions[1], "a", worker="w2")

        settled = settle_all(batches)

        assert isinstance(settled[1], LeaseLost)
        assert [settled[0], settled[2]] == [Settled(done=frozenset({0}))] * 2
        assert [rows_of(execution.pk)["a", ()].status for execution in executions] == [
            NodeStatus.SUCCEEDED,
            NodeStatus.RUNNING,
            NodeStatus.SUCCEEDED,
        ]


class TestReplay:
    """A commit whose answer was lost: the same batch is settled again."""

    def test_of_a_part_answers_as_the_first_time(self):
        execution = make_execution(two_segments())
        ended = make_ended(planned(execution), make_claim(execution, "a"))
        batch = make_batch(execution, [ended, unclaimed(execution, "b")], segments=[0])

        first, second = settle(batch), settle(batch)

        assert first == second == Settled(done=frozenset({0}))
        assert Execution.objects.get(pk=execution.pk).segments_done == [0]

    def test_of_the_end_answers_that_it_has_ended(self):
        execution = make_execution(two_segments())
        ended = make_ended(planned(execution), make_claim(execution, "a"))
        batch = make_batch(execution, [ended], segments=[0, 1])

        first, second = settle(batch), settle(batch)

        assert (first.is_final, second.is_final) == (True, True)

    def test_of_a_fatal_failure_answers_that_it_stops(self):
        execution = make_execution(two_segments())
        claim = make_claim(execution, "a")
        make_claim(execution, "b", worker="w2")
        batch = make_batch(execution, [failed(execution, claim)])

        first, second = settle(batch), settle(batch)

        assert (first.is_stopping, second.is_stopping) == (True, True)

    @pytest.mark.django_db(transaction=True)
    def test_after_the_connection_broke_behind_the_commit(self):
        """The real thing: the server commits, the connection dies before the worker hears of it."""
        execution = make_execution(two_segments())
        batch = make_batch(execution, [make_ended(planned(execution), make_claim(execution, "a"))], segments=[0])
        calls = []

        def settle_and_lose_the_answer() -> Settled:
            calls.append(1)
            settled = settle(batch)
            if len(calls) == 1:
                connection.connection.close()
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
            return settled

        settled = patiently(settle_and_lose_the_answer)

        assert (len(calls), settled) == (2, Settled(done=frozenset({0})))
        assert len(rows_of(execution.pk)) == 1


class TestStopping:
    def test_a_fatal_failure_ends_the_execution_if_nothing_else_runs(self):
        execution = make_execution(two_segments())
        claim = make_claim(execution, "a")

        settled = settle(make_batch(execution, [failed(execution, claim)]))

        execution.refresh_from_db()
        assert settled.is_final
        assert (execution.status, execution.error_code, execution.error_node) == (Status.FAILED, "PROBE_FAILED", "a")
        assert (execution.error_message, execution.error_hint) == ("No.", "Try again.")

    def test_a_fatal_failure_lets_what_runs_finish(self):
        execution = make_execution(two_segments())
        plan, claims = planned(execution), [make_claim(execution, key) for key in "ab"]

        first = settle(make_batch(execution, [failed(execution, claims[0])]))
        between = status_of(execution)
        second = settle(make_batch(execution, [make_ended(plan, claims[1])], segments=[1]))

        assert (first.is_stopping, between) == (True, Status.RUNNING)
        assert (second.is_final, status_of(execution)) == (True, Status.FAILED)

    def test_keeps_what_the_last_one_found_out_who_does_not_know_that_it_stops(self):
        execution = make_execution(two_segments())
        claim = make_claim(execution, "a")
        Execution.objects.filter(pk=execution.pk).update(is_stopping=True, error_code="PROBE_FAILED")

        settled = settle(make_batch(execution, [make_ended(planned(execution), claim)], segments=[0, 1]))

        assert (settled.is_final, status_of(execution)) == (True, Status.FAILED)
        assert rows_of(execution.pk)["a", ()].status == NodeStatus.SUCCEEDED

    def test_the_first_error_stands(self):
        execution = make_execution(two_segments())
        claims = [make_claim(execution, key) for key in "ab"]

        for claim in claims:
            settle(make_batch(execution, [failed(execution, claim)]))

        execution.refresh_from_db()
        assert (execution.status, execution.error_node) == (Status.FAILED, "a")

    def test_waits_for_what_runs_before_it_ends(self):
        execution = make_execution(two_segments(), status=Status.RUNNING, is_stopping=True)
        make_node_execution(execution, "a", status=NodeStatus.RUNNING)

        settled = stop_if_idle(make_batch(execution))

        assert (settled.is_stopping, settled.is_final) == (True, False)
        assert status_of(execution) == Status.RUNNING


@pytest.mark.django_db(transaction=True)
class TestTwoAtOnce:
    def test_exactly_one_ends_the_execution(self):
        for _ in range(15):
            execution = make_execution(two_segments())
            batches = _one_batch_each(execution)

            settled = at_once(2, lambda number, batches=batches: settle(batches[number]))

            assert sorted(one.is_final for one in settled) == [False, True]
            assert status_of(execution) == Status.SUCCEEDED

    def test_exactly_one_finds_the_join_ready(self):
        nodes = [node("a", "test.echo-io", input=1), node("b", "test.echo-io", input=2), node("join", "test.pair-io")]
        links = [LinkSpec("a", "output", "join", "a"), LinkSpec("b", "output", "join", "b")]
        version = make_published(nodes, links)
        for _ in range(15):
            execution = make_execution(version)
            batches = _one_batch_each(execution)

            settled = at_once(2, lambda number, batches=batches: settle(batches[number]))

            assert sorted(len(one.done) for one in settled) == [1, 2]

    def test_of_two_holders_of_one_firing_one_settles(self):
        execution = make_execution(two_segments())
        claims = [make_claim(execution, "a")]
        run_out(execution)
        claims.append(make_claim(execution, "a", worker="w2"))
        plan = planned(execution)

        def act(number: int) -> Any:
            ended = make_ended(plan, claims[number], outputs={"output": [number]})
            try:
                return settle(make_batch(execution, [ended], segments=[0]))
            except LeaseLost:
                return None

        settled = at_once(2, act)

        assert settled == [None, Settled(done=frozenset({0}))]
        assert rows_of(execution.pk)["a", ()].outputs == {"output": [1]}

    def test_a_failure_and_a_success_end_it_once_as_failed(self):
        for _ in range(15):
            execution = make_execution(two_segments())
            plan, claims = planned(execution), [make_claim(execution, key) for key in "ab"]
            batches = [
                make_batch(execution, [failed(execution, claims[0])]),
                make_batch(execution, [make_ended(plan, claims[1])], segments=[1]),
            ]

            settled = at_once(2, lambda number, batches=batches: patiently(settle, batches[number]))

            assert sorted(one.is_final for one in settled) == [False, True]
            assert status_of(execution) == Status.FAILED

    def test_of_the_same_executions_in_another_order_do_not_make_a_circle_of_locks(self):
        executions = [make_execution(two_segments()) for _ in range(12)]
        batches = [
            [
                make_batch(one, [make_ended(planned(one), make_claim(one, key))], segments=[segment])
                for one in executions
            ]
            for segment, key in enumerate("ab")
        ]
        batches[1].reverse()

        # Not patiently: the one that is chosen to break the circle would simply try again.
        settled = at_once(2, lambda number: settle_all(batches[number]))

        assert all(isinstance(one, Settled) for its in settled for one in its)
        assert {status_of(execution) for execution in executions} == {Status.SUCCEEDED}

    def test_a_claim_of_the_same_firing_does_not_make_a_circle_of_locks(self):
        """A message delivered twice claims what is just being settled: neither may wait for the other for ever."""
        before = deadlocks()
        for _ in range(10):
            execution = make_execution(two_segments())
            batch = _one_batch_each(execution)[0]

            at_once(2, lambda number, batch=batch: _settle_or_claim(batch, is_claim=bool(number)))

        assert deadlocks() == before


def _settle_or_claim(batch: Batch, *, is_claim: bool) -> Any:
    if not is_claim:
        return patiently(settle, batch)
    return patiently(leases.claim, {batch.execution_id: [leases.Wanted("a", (), {})]}, worker="w2")


def _one_batch_each(execution: Execution) -> list[Batch]:
    """Return what two workers write who each have run one of two segments."""
    plan = planned(execution)
    claims = [make_claim(execution, key) for key in "ab"]
    return [
        make_batch(execution, [make_ended(plan, claim)], segments=[plan.nodes[plan.index_of[claim.node_key]].segment])
        for claim in claims
    ]


def deadlocks() -> int:
    """Return how many circles of locks the server had to break in this database."""
    done = threading.Event()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        done.wait(0.05)
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
