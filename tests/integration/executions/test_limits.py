"""An execution can neither grow nor run without end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection

from agentplatform.lib.clock import now
from executions import limits, reconcile, runner
from executions.engine.compile import Items, Lane
from executions.engine.progress import Firing
from executions.engine.spec import LinkSpec
from executions.engine.status import NodeStatus, Status
from executions.messages import Work
from executions.models import Execution, NodeExecution
from graphs.models import GraphVersion
from tests.blocks import node
from tests.factories import make_execution, make_node_execution, make_published, rows_of, status_of

pytestmark = pytest.mark.django_db(transaction=True)

LANE = Lane("default", (0,))


@pytest.fixture(autouse=True)
def _tidy(redis_url: str) -> Iterator[None]:
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


def streaming(count: int) -> GraphVersion:
    """Return a graph of three nodes: a stream, what fires for each item of it, and one that meets them all."""
    nodes = [
        node("items", "test.stream", input="x", count=count),
        node("each", "test.echo"),
        node("all", "test.collect"),
    ]
    links = [LinkSpec("items", "item", "each", "input"), LinkSpec("each", "output", "all", "item")]
    return make_published(nodes, links)


def run(version: GraphVersion, lane: Lane = LANE, **fields: Any) -> Execution:
    execution = make_execution(version, launched_at=now(), **fields)
    runner.run_lanes([Work(execution.pk, lane)])
    execution.refresh_from_db()
    return execution


class TestItems:
    def test_as_many_as_are_allowed_go_through(self, settings):
        settings.AGENTPLATFORM_MAX_ITEMS = 10

        assert run(streaming(10)).status == Status.SUCCEEDED

    def test_one_too_many_fails_the_firing(self, settings):
        settings.AGENTPLATFORM_MAX_ITEMS = 10

        execution = run(streaming(11))

        assert (execution.status, execution.error_code) == (Status.FAILED, "TOO_MANY_ITEMS")
        assert {place for place, row in rows_of(execution.pk).items() if row.status == NodeStatus.SUCCEEDED} == set()


class TestBytes:
    def test_of_all_values_of_a_firing_are_limited(self, settings):
        settings.AGENTPLATFORM_MAX_FIRING_BYTES = 20

        execution = run(streaming(10))

        assert (execution.status, execution.error_code) == (Status.FAILED, "OUTPUT_TOO_LARGE")


class TestFirings:
    @pytest.fixture(autouse=True)
    def _limit(self, settings: Any) -> None:
        settings.AGENTPLATFORM_MAX_FIRINGS = 30
        settings.AGENTPLATFORM_MAX_NODES_PER_GRAPH = 30

    def test_as_many_as_are_allowed_go_through(self):
        execution = run(streaming(28))

        assert (execution.status, len(rows_of(execution.pk))) == (Status.SUCCEEDED, 30)

    def test_too_many_end_the_execution_before_they_run(self):
        execution = run(streaming(40))

        assert (execution.status, execution.error_code) == (Status.FAILED, "TOO_MANY_FIRINGS")
        assert execution.error_hint
        assert set(rows_of(execution.pk)) <= {("items", ())}

    def test_what_others_have_run_counts(self):
        version = streaming(20)
        execution = make_execution(version, launched_at=now(), status=Status.RUNNING, started_at=now())
        items = {"item": [f"x.{number}" for number in range(20)], "count": [20]}
        make_node_execution(execution, "items", outputs=items)
        for number in range(15):
            make_node_execution(execution, "elsewhere", item_path=[number])

        runner.run_lanes([Work(execution.pk, LANE)])

        assert status_of(execution) == Status.FAILED

    def test_what_others_add_while_a_lane_is_at_work_counts_after_a_while(self, monkeypatch):
        monkeypatch.setattr(limits, "COUNT_EVERY", 5)
        execution = make_execution(streaming(1), status=Status.RUNNING)
        count = limits.FiringCount(execution.pk, is_new=True)
        firings = [firing(number) for number in range(6)]

        before = count.allows(firings, unwritten=0)
        for number in range(25):
            make_node_execution(execution, "elsewhere", item_path=[number])
        after = count.allows(firings, unwritten=6)

        assert (before, after) == (True, False)

    def test_of_its_own_are_not_counted_twice(self, monkeypatch):
        monkeypatch.setattr(limits, "COUNT_EVERY", 1)
        execution = make_execution(streaming(1), status=Status.RUNNING)
        count = limits.FiringCount(execution.pk, is_new=True)

        for number in range(30):
            assert count.allows([firing(number)], unwritten=0)
            make_node_execution(execution, "each", item_path=[number])

        assert not count.allows([firing(30)], unwritten=0)

    def test_of_a_chunk_are_counted_as_its_own_range(self):
        version = make_published(
            [node("items", "test.stream", input="x", count=60), node("each", "test.echo-io")],
            [LinkSpec("items", "item", "each", "input")],
        )
        execution = make_execution(version, launched_at=now(), status=Status.RUNNING, started_at=now())
        items = {"item": [f"x.{number}" for number in range(60)], "count": [60]}
        make_node_execution(execution, "items", outputs=items)

        runner.run_lanes([Work(execution.pk, Lane("default", (0,), items=Items(1, 0, 10)))])

        rows = NodeExecution.objects.filter(execution=execution, node_key="each", status=NodeStatus.SUCCEEDED)
        assert (status_of(execution), rows.count()) == (Status.RUNNING, 10)

    def test_cost_no_query_without_items(self, django_assert_num_queries, settings):
        settings.AGENTPLATFORM_MAX_NODES_PER_GRAPH = 2
        count = limits.FiringCount(make_execution().pk, is_new=False)

        with django_assert_num_queries(0):
            assert count.allows([firing()], unwritten=0)


def firing(*path: int) -> Firing:
    return Firing(0, path, {})


class TestDuration:
    LONG_AGO = now() - timedelta(days=2)

    def reconciled(self, **fields: Any) -> Execution:
        execution = make_execution(
            **{"status": Status.RUNNING, "launched_at": now(), "started_at": self.LONG_AGO, **fields}
        )
        reconcile.reconcile()
        execution.refresh_from_db()
        return execution

    def test_too_long_a_run_is_stopped_with_its_reason(self):
        execution = self.reconciled(resumed_at=self.LONG_AGO)

        assert (execution.status, execution.error_code) == (Status.FAILED, "DURATION_EXCEEDED")
        assert "1 day" in execution.error_message

    def test_a_firing_that_still_runs_is_told_first(self):
        execution = make_execution(
            status=Status.RUNNING, launched_at=now(), started_at=self.LONG_AGO, resumed_at=self.LONG_AGO
        )
        make_node_execution(execution, status=NodeStatus.RUNNING)

        reconcile.reconcile()

        execution.refresh_from_db()
        assert (execution.status, execution.error_code) == (Status.CANCELLING, "DURATION_EXCEEDED")

    @pytest.mark.parametrize(
        "fields",
        [
            {"resumed_at": now()},
            {"status": Status.WAITING, "resumed_at": LONG_AGO},
            {"is_paused": True, "resumed_at": LONG_AGO},
            {"status": Status.QUEUED, "started_at": None},
        ],
        ids=["just resumed", "waits", "paused", "in line"],
    )
    def test_what_does_not_run_is_not_too_long(self, fields):
        before = fields.get("status", Status.RUNNING)

        assert self.reconciled(**fields).status == before


def test_what_a_node_gathers_is_limited(settings):
    settings.AGENTPLATFORM_MAX_FIRING_BYTES = 40

    execution = run(streaming(9))

    assert (execution.status, execution.error_code, execution.error_node) == (Status.FAILED, "INPUT_TOO_LARGE", "all")
