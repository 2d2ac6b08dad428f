"""Cancel, pause, resume: once that is written down, nothing else happens, whoever is at work."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import redis
from django.db import connection

from agentplatform.lib.clock import now
from agentplatform.lib.errors import AppError
from blocks.sdk import BlockError
from executions import failpoints, leases, reconcile, services, stopping
from executions.batch import Settled
from executions.endings import follow_up
from executions.engine.status import FINAL, NodeStatus, Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.errors import AlreadyFinished, LeaseLost, NotRunning
from executions.heartbeat import CHANNEL
from executions.leases import Wanted
from executions.models import Execution, NodeExecution, Wait
from executions.plans import plan_of
from executions.settle import settle, stop_if_idle
from executions.worker import patiently
from graphs.models import GraphVersion
from tests.blocks import node
from tests.factories import (
    claim_all,
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

TOO_LONG = BlockError("It took too long.", code="DURATION_EXCEEDED", hint="Give it more time.")


def two_nodes() -> GraphVersion:
    """Return a graph of two nodes that know nothing of each other, in two segments."""
    return make_published([node("a", "test.echo-io", input=1), node("b", "test.echo-io", input=2)])


def make_child(parent: Execution, key: str = "a", **fields: Any) -> Execution:
    """Return an execution that a firing of another has started."""
    root_id = parent.root_id or parent.pk
    return make_execution(
        parent.version,
        owner_id=parent.owner_id,
        parent_id=parent.pk,
        parent_node=key,
        root_id=root_id,
        depth=parent.depth + 1,
        **{"launched_at": now(), **fields},
    )


def make_wait(execution: Execution, key: str = "a", kind: WaitKind = WaitKind.APPROVAL) -> Wait:
    """Return what a suspended firing waits for."""
    return Wait.objects.create(
        execution_id=execution.pk, owner_id=execution.owner_id, node_key=key, call_key="w", kind=kind
    )


def run_out(execution: Execution) -> None:
    NodeExecution.objects.filter(execution=execution).update(lease_expires_at=now() - timedelta(minutes=1))


@pytest.fixture
def messages(redis_url: str) -> Iterator[Callable[[], set[str]]]:
    """Return a function that tells of which executions there are messages; no worker takes anything."""

    def sent() -> set[str]:
        bodies = [json.loads(base64.b64decode(json.loads(raw)["body"])) for raw in broker.lrange("default", 0, -1)]
        return {work[0] for _, kwargs, _ in bodies for work in kwargs["work"]}

    with redis.Redis.from_url(redis_url) as broker:
        broker.flushdb()
        yield sent
        broker.flushdb()


@contextmanager
def listening() -> Iterator[Callable[[], list[str]]]:
    """Yield a function that tells what was notified, heard on a connection of one's own."""
    given = connection.get_connection_params()
    with psycopg.connect(host=given["host"], user=given["user"], dbname=given["dbname"], autocommit=True) as own:
        own.execute(f"LISTEN {CHANNEL}")
        yield lambda: [told.payload for told in own.notifies(timeout=0.3)]


class TestCancel:
    def test_ends_what_has_not_begun(self):
        execution = make_execution(launched_at=now())

        answer = services.cancel(execution)

        assert (answer.status, answer.error_code, answer.started_at) == (Status.CANCELLED, "", None)
        assert answer.ended_at is not None

    def test_ends_what_stands_in_line(self):
        assert services.cancel(make_execution()).status == Status.CANCELLED

    def test_lets_what_runs_end_first(self):
        execution = make_execution(two_nodes())
        claim = make_claim(execution, "a")

        answer = services.cancel(execution)

        assert (answer.status, answer.ended_at) == (Status.CANCELLING, None)
        assert rows_of(execution.pk)["a", ()].status == NodeStatus.RUNNING
        ended = make_ended(plan_of(execution.version_id), claim, usage={"input_tokens": 3}, cost_microcredits=7)
        (settled,) = settle([make_batch(execution, [ended], segments=[0])])
        row, execution = rows_of(execution.pk)["a", ()], Execution.objects.get(pk=execution.pk)
        assert isinstance(settled, Settled)
        assert (settled.is_final, row.status, row.outputs, row.usage) == (
            True,
            NodeStatus.CANCELLED,
            {},
            {"input_tokens": 3},
        )
        assert (execution.status, execution.outputs, execution.error_code) == (Status.CANCELLED, {}, "")
        assert (execution.input_tokens, execution.cost_microcredits, execution.segments_done) == (3, 7, [])

    def test_ends_at_once_what_nobody_runs(self):
        execution = make_execution(two_nodes(), status=Status.RUNNING)
        make_node_execution(execution, "a", cost_microcredits=5)

        assert services.cancel(execution).status == Status.CANCELLED
        execution.refresh_from_db()
        assert execution.cost_microcredits == 5

    def test_ends_at_once_what_a_lost_worker_has_left_behind(self):
        execution = make_execution(two_nodes())
        make_claim(execution, "a")
        run_out(execution)

        assert services.cancel(execution).status == Status.CANCELLED
        row = rows_of(execution.pk)["a", ()]
        assert (row.status, row.lease_expires_at) == (NodeStatus.CANCELLED, None)

    def test_ends_what_waits_for_a_person_or_a_moment(self):
        execution = make_execution(two_nodes(), status=Status.WAITING)
        make_node_execution(execution, "a", status=NodeStatus.WAITING, error_code="NEEDS_DECISION")
        make_node_execution(execution, "b", status=NodeStatus.PENDING, due_at=now() + timedelta(days=1))
        wait = make_wait(execution)

        assert services.cancel(execution).status == Status.CANCELLED

        assert {(row.status, row.error_code, row.due_at) for row in rows_of(execution.pk).values()} == {
            (NodeStatus.CANCELLED, "", None)
        }
        wait.refresh_from_db()
        assert (wait.status, wait.answered_at is None) == (WaitStatus.CANCELLED, False)

    def test_ends_what_waits_although_something_else_still_runs(self):
        execution = make_execution(two_nodes())
        make_claim(execution, "a")
        make_node_execution(execution, "b", status=NodeStatus.WAITING)

        assert services.cancel(execution).status == Status.CANCELLING
        assert rows_of(execution.pk)["b", ()].status == NodeStatus.CANCELLED

    @pytest.mark.parametrize("status", sorted(FINAL))
    def test_leaves_an_end_alone(self, status):
        execution = make_execution(status=status, outputs={"answer": 1})
        before = Execution.objects.filter(pk=execution.pk).values().get()

        answer = services.cancel(execution)

        assert answer.status == status
        assert Execution.objects.filter(pk=execution.pk).values().get() == before

    def test_may_be_asked_for_again(self):
        execution = make_execution(two_nodes())
        make_claim(execution, "a")

        assert [services.cancel(execution).status for _ in range(2)] == [Status.CANCELLING] * 2

    def test_lets_nothing_begin_any_more(self):
        execution = make_execution(two_nodes())
        make_claim(execution, "a")
        services.cancel(execution)

        assert claim_all(execution, [Wanted("b", (), {})]) == []

    def test_of_what_already_fails_ends_with_its_failure(self):
        execution = make_execution(two_nodes(), status=Status.RUNNING, is_stopping=True, error_code="PROBE_FAILED")

        answer = services.cancel(execution)

        assert (answer.status, answer.error_code) == (Status.FAILED, "PROBE_FAILED")

    def test_of_a_paused_execution_ends_it(self):
        execution = make_execution(two_nodes(), status=Status.RUNNING, is_paused=True)

        assert services.cancel(execution).status == Status.CANCELLED


class TestFamily:
    def test_is_cancelled_with_its_head(self):
        parent = make_execution(two_nodes(), status=Status.WAITING)
        make_node_execution(parent, "a", status=NodeStatus.WAITING)
        make_wait(parent, kind=WaitKind.CHILD)
        child = make_child(parent, status=Status.WAITING)
        make_node_execution(child, "a", status=NodeStatus.WAITING)
        grandchild = make_child(child)

        assert services.cancel(parent).status == Status.CANCELLED
        assert {status_of(one) for one in (child, grandchild)} == {Status.CANCELLED}

    def test_leaves_what_is_above_alone(self):
        parent = make_execution(two_nodes(), status=Status.RUNNING)
        make_node_execution(parent, "a", status=NodeStatus.RUNNING)
        child = make_child(parent)

        services.cancel(child)

        assert (status_of(parent), status_of(child)) == (Status.RUNNING, Status.CANCELLED)

    def test_adds_up_what_sub_graphs_have_cost_that_end_with_it(self):
        parent = make_execution(two_nodes(), status=Status.WAITING)
        make_node_execution(parent, "a", status=NodeStatus.WAITING, cost_microcredits=1)
        child = make_child(parent, status=Status.WAITING)
        make_node_execution(child, "a", cost_microcredits=20, usage={"input_tokens": 4})
        make_node_execution(child, "b", status=NodeStatus.WAITING)
        make_child(parent, status=Status.SUCCEEDED, cost_microcredits=300)

        services.cancel(parent)

        parent.refresh_from_db()
        assert (parent.status, parent.cost_microcredits, parent.input_tokens) == (Status.CANCELLED, 321, 4)

    def test_ends_from_below(self):
        """A sub-graph that still runs: what it has used is known only at its end, so what waits for it ends after it."""
        parent = make_execution(two_nodes(), status=Status.WAITING)
        make_node_execution(parent, "a", status=NodeStatus.WAITING)
        child = make_child(parent)
        claim = make_claim(child, "a")

        assert services.cancel(parent).status == Status.CANCELLING
        assert rows_of(parent.pk)["a", ()].status == NodeStatus.WAITING

        ended = make_ended(plan_of(child.version_id), claim, cost_microcredits=9)
        follow_up(settle([make_batch(child, [ended])]))
        parent.refresh_from_db()
        assert (parent.status, parent.cost_microcredits) == (Status.CANCELLED, 9)
        assert rows_of(parent.pk)["a", ()].status == NodeStatus.CANCELLED


class TestStop:
    def test_ends_as_failed_with_its_reason(self):
        execution = make_execution(two_nodes(), status=Status.RUNNING)
        child = make_child(execution)

        answer = services.stop(execution, TOO_LONG)

        assert (answer.status, answer.error_code, answer.error_message) == (
            Status.FAILED,
            "DURATION_EXCEEDED",
            "It took too long.",
        )
        assert status_of(child) == Status.CANCELLED

    def test_of_what_has_not_begun_too(self):
        assert services.stop(make_execution(), TOO_LONG).status == Status.FAILED

    def test_waits_for_what_runs(self):
        execution = make_execution(two_nodes())
        claim = make_claim(execution, "a")

        answer = services.stop(execution, TOO_LONG)
        settle([make_batch(execution, [make_ended(plan_of(execution.version_id), claim)])])

        assert (answer.status, status_of(execution)) == (Status.CANCELLING, Status.FAILED)

    def test_does_not_make_a_failure_of_what_is_being_cancelled(self):
        execution = make_execution(two_nodes())
        make_claim(execution, "a")
        services.cancel(execution)

        assert services.stop(execution, TOO_LONG).error_code == ""


@pytest.mark.django_db(transaction=True)
class TestSweep:
    def test_ends_what_lost_its_workers_while_it_was_cancelled(self):
        execution = make_execution(two_nodes())
        make_claim(execution, "a")
        services.cancel(execution)
        reconcile.reconcile()
        before = status_of(execution)
        run_out(execution)

        reconcile.reconcile()

        assert (before, status_of(execution)) == (Status.CANCELLING, Status.CANCELLED)

    def test_leaves_all_else_alone(self):
        executions = [make_execution(two_nodes(), status=status) for status in Status]

        reconcile.reconcile()

        kept = {execution.status: status_of(execution) for execution in executions}
        assert kept == {status: status for status in Status} | {Status.CANCELLING: Status.CANCELLED}


@pytest.mark.django_db(transaction=True)
class TestNotification:
    def test_names_what_workers_are_at(self):
        executions = [make_execution(two_nodes()) for _ in range(2)]
        for execution in executions:
            make_claim(execution, "a")
        with listening() as heard:
            services.cancel(executions[0])
            services.cancel(make_execution())

            assert heard() == [str(executions[0].pk)]

    def test_of_many_comes_in_parts(self):
        ids = [make_execution().pk for _ in range(3)]
        parts = list(stopping._payloads(ids * 150))

        assert sorted(",".join(parts).split(",")) == sorted(map(str, ids * 150))
        assert max(map(len, parts)) < 8000


class TestPause:
    def test_lets_nothing_begin_and_keeps_what_runs(self):
        execution = make_execution(two_nodes())
        claim = make_claim(execution, "a")

        answer = services.pause(execution)

        assert (answer.status, answer.is_paused) == (Status.RUNNING, True)
        assert claim_all(execution, [Wanted("b", (), {})]) == []
        (settled,) = settle([make_batch(execution, [make_ended(plan_of(execution.version_id), claim)])])
        assert isinstance(settled, Settled)
        assert settled.is_paused
        assert rows_of(execution.pk)["a", ()].status == NodeStatus.SUCCEEDED

    def test_holds_for_all_that_it_has_started(self):
        execution = make_execution(two_nodes(), status=Status.RUNNING)
        child = make_child(make_child(execution, status=Status.RUNNING))

        services.pause(execution)

        child.refresh_from_db()
        assert child.is_paused

    def test_may_be_asked_for_again(self):
        execution = make_execution(status=Status.RUNNING)

        assert [services.pause(execution).is_paused for _ in range(2)] == [True, True]

    @pytest.mark.parametrize("status", [*sorted(FINAL), Status.CANCELLING])
    @pytest.mark.parametrize("act", [services.pause, services.resume])
    def test_is_refused_once_it_is_over(self, status, act):
        execution = make_execution(status=status)

        with pytest.raises(AlreadyFinished):
            act(execution)

        execution.refresh_from_db()
        assert not execution.is_paused

    def test_is_respected_by_reconcile(self):
        long_ago = now() - timedelta(hours=1)
        for status in (Status.QUEUED, Status.RUNNING, Status.WAITING):
            execution = make_execution(two_nodes(), status=status, launched_at=long_ago, is_paused=True)
            make_node_execution(execution, "a", status=NodeStatus.PENDING, due_at=long_ago)
        make_execution(two_nodes(), is_paused=True)

        assert reconcile.reconcile() == 0


@pytest.mark.django_db(transaction=True)
class TestResume:
    def test_sends_it_again(self, messages):
        execution = make_execution(two_nodes(), status=Status.RUNNING, launched_at=now() - timedelta(hours=1))
        services.pause(execution)

        answer = services.resume(execution)

        assert not answer.is_paused
        assert answer.launched_at is not None
        assert now() - answer.launched_at < timedelta(minutes=1)
        assert messages() == {str(execution.pk)}

    def test_goes_on_with_all_that_it_has_started(self, messages):
        execution = make_execution(two_nodes(), status=Status.WAITING, launched_at=now())
        child = make_child(execution, status=Status.RUNNING)
        services.pause(execution)

        services.resume(execution)

        child.refresh_from_db()
        assert not child.is_paused
        assert messages() == {str(execution.pk), str(child.pk)}

    def test_of_what_is_not_paused_does_nothing(self, messages):
        execution = make_execution(two_nodes(), status=Status.RUNNING, launched_at=now())

        services.resume(execution)

        assert messages() == set()

    def test_does_not_count_the_pause_as_time_it_ran(self, messages):
        long_ago = now() - timedelta(days=1)
        execution = make_execution(
            two_nodes(), status=Status.RUNNING, launched_at=long_ago, resumed_at=long_ago, is_paused=True
        )

        answer = services.resume(execution)

        assert answer.resumed_at is not None
        assert now() - answer.resumed_at < timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
class TestRaces:
    """While workers settle and claim, somebody cancels: nothing is begun, and nothing succeeds, after that is committed."""

    WORKERS = 4

    @pytest.mark.parametrize("seed", range(6))
    def test_nothing_succeeds_after_a_cancellation_is_committed(self, seed, monkeypatch):
        slowly = failpoints.parse(f"inside_settle:delay=0.03:p=0.5:seed={seed}")
        monkeypatch.setattr(failpoints, "_armed", {"inside_settle": slowly})
        chance = random.Random(seed)
        executions = [make_execution(many_nodes()) for _ in range(3)]
        family = [make_child(executions[0], key="n0"), *executions]
        told = threading.Event()
        seen: dict[str, set[Any]] = {}
        delays = [chance.uniform(0, 0.03) for _ in range(self.WORKERS + 1)]

        def work(number: int) -> Counter[str]:
            done: Counter[str] = Counter()
            if number == self.WORKERS:
                told.wait(delays[number])
                patiently(stopping.cancel_all, [one.pk for one in executions])
                seen["at the commit"] = final_rows(family)
                told.set()
                return done
            keys = [f"n{index}" for index in range(8)]
            random.Random(seed + number).shuffle(keys)
            for key in keys:
                for execution in family:
                    done[act(execution, key, f"w{number}")] += 1
            return done

        counts = at_once(self.WORKERS + 1, work)

        afterwards = final_rows(family)
        fresh = afterwards - seen["at the commit"]
        assert {status for _, _, status in fresh} <= {NodeStatus.CANCELLED}
        assert {status_of(one) for one in family} == {Status.CANCELLED}
        assert not NodeExecution.objects.filter(execution__in=family).exclude(ended_at__isnull=False).exists()
        assert sum(count["broke"] for count in counts) == 0

    def test_a_cancellation_and_the_last_settle_agree(self):
        for _ in range(20):
            execution = make_execution(two_nodes())
            plan, claims = plan_of(execution.version_id), [make_claim(execution, key) for key in "ab"]
            batch = make_batch(execution, [make_ended(plan, claim) for claim in claims], segments=[0, 1])

            (settled,), answer = at_once(
                2, lambda number, e=execution, b=batch: services.cancel(e) if number else patiently(settle, [b])
            )

            rows = {row.status for row in rows_of(execution.pk).values()}
            assert isinstance(settled, Settled)
            assert settled.is_final
            assert (status_of(execution), rows) in [
                (Status.SUCCEEDED, {NodeStatus.SUCCEEDED}),
                (Status.CANCELLED, {NodeStatus.CANCELLED}),
            ]
            assert answer.status in (Status.CANCELLING, status_of(execution))


def many_nodes() -> GraphVersion:
    return make_published([node(f"n{index}", "test.echo-io", input=index) for index in range(8)])


def final_rows(executions: list[Execution]) -> set[tuple[Any, str, str]]:
    ended = NodeExecution.objects.filter(execution__in=executions, ended_at__isnull=False)
    return set(ended.values_list("execution_id", "node_key", "status"))


def act(execution: Execution, key: str, worker: str) -> str:
    """Claim and settle one firing as a worker does. Return what came of it."""
    wanted = [Wanted(key, (), {})]
    claims = patiently(leases.claim, {execution.pk: wanted}, worker=worker)[execution.pk]
    if not claims:
        settled = try_to(lambda: stop_if_idle(make_batch(execution)))
        return "refused" if isinstance(settled, Settled | NotRunning) else "broke"
    plan = plan_of(execution.version_id)
    segments = [plan.nodes[plan.index_of[key]].segment] if int(key[1:]) % 2 else []
    batch = make_batch(execution, [make_ended(plan, claims[0])], segments=segments)
    (settled,) = patiently(settle, [batch])
    return "settled" if isinstance(settled, Settled) else "lost" if isinstance(settled, LeaseLost) else "broke"


def try_to(call: Callable[[], Settled]) -> Settled | AppError:
    try:
        return patiently(call)
    except AppError as error:
        return error
