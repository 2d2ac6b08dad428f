"""Reconcile finds what nothing will carry on by itself, and leaves the rest alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from django.db import connection, transaction

from agentplatform.lib.clock import now
from agentplatform.lib.ids import first_id_at, uuid7
from executions import launch, reconcile
from executions.engine.status import NodeStatus, Status
from executions.invariants import check
from executions.models import Execution, NodeExecution, Wait
from graphs.models import GraphVersion
from tests.blocks import node
from tests.factories import make_claim, make_execution, make_node_execution, make_published, remove_block
from tests.integration.executions.races import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def broker(redis_url: str) -> Iterator[redis.Redis]:
    """The broker of this process, empty before and after."""
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushdb()
        yield broker
        broker.flushdb()


@pytest.fixture
def version() -> GraphVersion:
    return make_published([node("only", "test.echo-io", input=1)])


def ago(seconds: float) -> datetime:
    return now() - timedelta(seconds=seconds)


def sent(broker: Any) -> int:
    return int(broker.llen("default")) + int(broker.llen("cpu"))


class TestFinds:
    def test_what_stands_in_line_as_soon_as_there_is_room(self, version, broker):
        execution = make_execution(version)

        found = reconcile.reconcile()

        execution.refresh_from_db()
        assert (found, sent(broker), execution.launches) == (1, 1, 1)
        assert execution.launched_at is not None

    def test_what_was_sent_and_never_begun(self, version, broker):
        execution = make_execution(version, launched_at=ago(60), launches=1)

        found = reconcile.reconcile()

        execution.refresh_from_db()
        assert (found, sent(broker), execution.launches) == (1, 1, 2)

    def test_what_nobody_holds_any_more(self, version, broker):
        execution = make_execution(version, launched_at=ago(60), launches=1)
        make_claim(execution)
        NodeExecution.objects.filter(execution=execution).update(lease_expires_at=ago(1))

        assert (reconcile.reconcile(), sent(broker)) == (1, 1)

    def test_what_one_worker_lost_while_another_goes_on(self, broker):
        version = make_published([node("a", "test.echo-io", input=1), node("b", "test.echo-io", input=1)])
        execution = make_execution(version, launched_at=ago(60), launches=1)
        make_claim(execution, "a")
        make_claim(execution, "b", worker="w2")
        NodeExecution.objects.filter(execution=execution, node_key="a").update(lease_expires_at=ago(1))

        assert (reconcile.reconcile(), sent(broker)) == (1, 1)

    def test_what_stands_between_two_nodes(self, broker):
        version = make_published([node("a", "test.echo-io", input=1), node("b", "test.echo-cpu", input=1)])
        execution = make_execution(version, status=Status.RUNNING, launched_at=ago(60), segments_done=[0])
        make_node_execution(execution, "a")

        assert (reconcile.reconcile(), sent(broker)) == (1, 1)

    def test_what_stops_and_nobody_ends(self, version, broker):
        make_execution(version, status=Status.RUNNING, is_stopping=True, launched_at=ago(60))

        assert (reconcile.reconcile(), sent(broker)) == (1, 1)

    def test_many_at_once_and_the_rest_the_next_time(self, version, monkeypatch):
        monkeypatch.setattr(reconcile, "AT_ONCE", 3)
        for _ in range(5):
            make_execution(version, launched_at=ago(60))

        assert [reconcile.reconcile() for _ in range(3)] == [3, 2, 0]


class TestEnds:
    def test_what_can_not_go_on_as_a_block_of_it_is_gone_with_all_that_it_has_begun(self, broker):
        version = make_published([node(key, "test.echo-io", input=1) for key in ("due", "asks", "left")])
        execution = make_execution(version, status=Status.RUNNING, started_at=ago(60), launched_at=ago(60), launches=1)
        make_node_execution(execution, "due", status=NodeStatus.PENDING, due_at=ago(1))
        make_node_execution(execution, "asks", status=NodeStatus.WAITING)
        make_node_execution(execution, "left", status=NodeStatus.RUNNING, lease_expires_at=ago(1))
        asked = {"owner": execution.owner, "node_key": "asks", "call_key": "ask", "kind": "APPROVAL"}
        Wait.objects.create(execution_id=execution.pk, **asked)
        remove_block(version.pk)

        reconcile.reconcile()

        execution.refresh_from_db()
        assert (execution.status, execution.error_code, sent(broker)) == (Status.FAILED, "UNKNOWN_BLOCK", 0)
        assert check(only=["I2", "I8"], grace_s=0.0) == []


class TestLeavesAlone:
    def test_what_stands_in_line_as_long_as_there_is_no_room(self, version, broker, settings):
        settings.AGENTPLATFORM_MAX_RUNNING_PER_OWNER = 1
        make_execution(version, launched_at=now())
        make_execution(version, created_at=ago(60))

        assert (reconcile.reconcile(), sent(broker)) == (0, 0)

    def test_what_was_just_sent(self, version, broker):
        make_execution(version, launched_at=now(), created_at=ago(60))

        assert (reconcile.reconcile(), sent(broker)) == (0, 0)

    def test_what_somebody_holds(self, version, broker):
        execution = make_execution(version, launched_at=ago(3600))
        make_claim(execution)

        assert (reconcile.reconcile(), sent(broker)) == (0, 0)

    @pytest.mark.parametrize("status", sorted(set(Status) - {Status.QUEUED, Status.RUNNING}))
    def test_what_has_ended_or_waits(self, version, status, broker):
        make_execution(version, status=status, launched_at=ago(60), created_at=ago(60))

        assert (reconcile.reconcile(), sent(broker)) == (0, 0)

    def test_what_it_has_just_launched_itself(self, version):
        make_execution(version, launched_at=ago(60))
        reconcile.reconcile()

        assert reconcile.reconcile() == 0

    def test_what_waits_in_line_at_the_broker_ever_longer(self, version, settings, broker):
        execution = make_execution(version, launched_at=ago(60), launches=1)
        launch.launch([execution.pk])
        grace = settings.AGENTPLATFORM_RECONCILE_S

        def is_found_after(seconds: float, launches: int) -> bool:
            Execution.objects.filter(pk=execution.pk).update(launched_at=ago(seconds), launches=launches)
            return reconcile.reconcile() == 1

        assert not is_found_after(grace * 3, launches=1)
        assert is_found_after(grace * 5, launches=1)
        assert not is_found_after(grace * 15, launches=2)
        assert is_found_after(grace * 17, launches=2)
        assert is_found_after(grace * 65, launches=30_000)


@pytest.mark.django_db(transaction=True)
class TestTwoReconcilers:
    def test_share_the_work(self, version):
        for _ in range(20):
            make_execution(version, launched_at=ago(60))

        found = at_once(4, lambda _: reconcile.reconcile())

        assert sum(found) == 20
        assert set(Execution.objects.values_list("launches", flat=True)) == {1}


class TestPartitions:
    def test_a_row_lies_in_the_month_it_was_born(self, version):
        execution = make_execution(version)
        row = make_node_execution(execution)

        places = [partition_of("executions_execution", execution.pk), partition_of("executions_nodeexecution", row.pk)]

        month = f"{now():%Y_%m}"
        assert places == [f"executions_execution_{month}", f"executions_nodeexecution_{month}"]

    def test_a_firing_lies_in_the_month_of_its_execution(self, version):
        next_month = (now().replace(day=1) + timedelta(days=32)).replace(day=2)
        execution = make_execution(version, id=born_at(next_month))
        row = make_node_execution(execution)

        assert partition_of("executions_nodeexecution", row.pk) == f"executions_nodeexecution_{next_month:%Y_%m}"

    def test_a_row_of_a_month_without_partition_is_kept_all_the_same(self, version):
        execution = make_execution(version, id=born_at(now() + timedelta(days=3650)))

        assert partition_of("executions_execution", execution.pk) == "executions_execution_default"

    def test_the_coming_months_are_there(self):
        assert reconcile.ensure_partitions() == []

    def test_a_missing_month_is_created_once(self):
        month = f"{now():%Y_%m}"
        with connection.cursor() as cursor:
            cursor.execute(f'DROP TABLE "executions_nodeexecution_{month}"')

        created = [reconcile.ensure_partitions(), reconcile.ensure_partitions()]

        assert created == [[f"executions_nodeexecution_{month}"], []]

    def test_firings_that_came_before_their_month_move_into_it(self, version):
        """Nobody ran it for a while, so rows went to the default partition, which then refuses their month."""
        month = f"{now():%Y_%m}"
        with connection.cursor() as cursor:
            cursor.execute(f'DROP TABLE "executions_nodeexecution_{month}"')
        row = make_node_execution(make_execution(version))

        with transaction.atomic():
            reconcile.ensure_partitions()

        assert partition_of("executions_nodeexecution", row.pk) == f"executions_nodeexecution_{month}"


def born_at(moment: datetime) -> Any:
    """Return a new id that was born at a moment."""
    first = first_id_at(moment)
    return type(first)(int=first.int | uuid7().int & (1 << 80) - 1)


def partition_of(table: str, pk: Any) -> str:
    """Return the name of the table in which a row lies."""
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT tableoid::regclass::text FROM "{table}" WHERE id = %s', [pk])
        return str(cursor.fetchone()[0])


def test_a_lost_firing_counts_as_running_until_its_lease_is_over(version):
    execution = make_execution(version, launched_at=ago(60))
    make_node_execution(execution, status=NodeStatus.RUNNING, lease_expires_at=now() + timedelta(seconds=1))

    assert reconcile.reconcile() == 0


@pytest.mark.django_db(transaction=True)
class TestKeepGoing:
    def test_goes_on_after_a_round_that_failed(self, settings, monkeypatch):
        settings.AGENTPLATFORM_RECONCILE_S = 0.01
        stop, rounds = threading.Event(), []

        def reconcile_badly() -> int:
            rounds.append(len(rounds))
            if len(rounds) == 3:
                stop.set()
            raise ValueError("as bad as it gets")

        monkeypatch.setattr(reconcile, "reconcile", reconcile_badly)

        reconcile.keep_going(stop)

        assert rounds == [0, 1, 2]

    def test_sees_to_the_coming_months(self, settings, monkeypatch):
        settings.AGENTPLATFORM_RECONCILE_S = 0.01
        stop, seen = threading.Event(), []
        monkeypatch.setattr(reconcile, "ensure_partitions", lambda: (seen.append(True), stop.set()))

        reconcile.keep_going(stop)

        assert seen == [True]
