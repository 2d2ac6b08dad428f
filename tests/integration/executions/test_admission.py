"""Who is admitted, in which order, and never more than the limits."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import redis
from django.contrib.auth.models import AbstractUser
from django.db import connection, transaction

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from executions import admission, messages, services, statements
from executions.endings import follow_up
from executions.engine.status import FINAL, Status
from executions.models import Execution
from executions.plans import plan_of
from executions.reconcile import reconcile
from executions.settle import settle
from executions.worker import patiently
from graphs.models import Graph, GraphVersion
from tests.blocks import node
from tests.factories import make_batch, make_claim, make_ended, make_published, make_user
from tests.integration.executions.races import at_once
from tests.servers import wait_until

pytestmark = pytest.mark.django_db

OF_OWNER, OF_ALL = "AGENTPLATFORM_MAX_RUNNING_PER_OWNER", "AGENTPLATFORM_MAX_IN_FLIGHT"


@pytest.fixture(autouse=True)
def broker(redis_url: str) -> Iterator[redis.Redis]:
    """The broker of this process, empty before and after; no worker takes anything from it."""
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushdb()
        yield broker
        broker.flushdb()


@pytest.fixture
def version() -> GraphVersion:
    return plain()


def plain(owner: AbstractUser | None = None, *, limit: int | None = None) -> GraphVersion:
    """Return a graph of one node, with a limit of its own or not."""
    version = make_published([node("only", "test.echo-io", input=1)], owner=owner)
    Graph.objects.filter(pk=version.graph_id).update(max_concurrent=limit)
    return version


def make_line(version: GraphVersion, count: int, **fields: Any) -> list[UUID]:
    """Return the ids of so many executions that stand in line, in the order in which they came."""
    owner_id = fields.pop("owner_id", version.graph.owner_id)
    made = [
        Execution(id=uuid7(), graph_id=version.graph_id, version=version, owner_id=owner_id, **fields)
        for _ in range(count)
    ]
    Execution.objects.bulk_create(made)
    return sorted(execution.pk for execution in made)


def in_flight(version: GraphVersion, count: int = 1, status: Status = Status.RUNNING, **fields: Any) -> list[UUID]:
    ended_at = now() if status in FINAL else None
    return make_line(version, count, status=status, launched_at=now(), launches=1, ended_at=ended_at, **fields)


def admitted_of(ids: list[UUID]) -> list[UUID]:
    return sorted(Execution.objects.filter(pk__in=ids, launched_at__isnull=False).values_list("pk", flat=True))


def start(version: GraphVersion, **fields: Any) -> Execution:
    return services.start(version_id=version.pk, owner_id=fields.pop("owner_id", version.graph.owner_id), **fields)


def end(execution_id: UUID) -> None:
    """End an admitted execution of one node, as its worker would."""
    execution = Execution.objects.get(pk=execution_id)
    claim = patiently(make_claim, execution)
    ended = [make_ended(plan_of(execution.version_id), claim)]
    follow_up(patiently(settle, [make_batch(execution, ended, segments=[0])]))


def is_admitted(execution: Execution) -> bool:
    return bool(admitted_of([execution.pk]))


class TestAdmits:
    def test_up_to_the_limit_of_the_owner_and_first_come_first(self, version, settings):
        setattr(settings, OF_OWNER, 5)
        running = in_flight(version, 2)
        line = make_line(version, 10)

        count = admission.admit()

        assert (count, admitted_of(line)) == (3, line[:3])
        assert Execution.objects.filter(pk__in=line[:3], status=Status.QUEUED, launches=1).count() == 3
        assert admitted_of(running) == running

    def test_nobody_where_the_limit_is_reached(self, version, settings):
        setattr(settings, OF_OWNER, 2)
        in_flight(version, 3)
        make_line(version, 1)

        assert admission.admit() == 0

    def test_higher_priority_before_those_who_came_earlier(self, version, settings):
        setattr(settings, OF_OWNER, 3)
        low, usual, high = make_line(version, 2, priority=-1), make_line(version, 2), make_line(version, 2, priority=7)

        admission.admit()

        assert admitted_of(low + usual + high) == sorted([usual[0], *high])

    @pytest.mark.parametrize("status", sorted({Status.WAITING} | FINAL))
    def test_without_counting_what_waits_or_has_ended(self, version, settings, status):
        setattr(settings, OF_OWNER, 1)
        in_flight(version, 3, status)
        line = make_line(version, 1)

        admission.admit()

        assert admitted_of(line) == line

    @pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.CANCELLING])
    def test_not_before_what_is_under_way_has_ended(self, version, settings, status):
        setattr(settings, OF_OWNER, 1)
        in_flight(version, 1, status)
        line = make_line(version, 1)

        admission.admit()

        assert admitted_of(line) == []

    def test_without_counting_sub_graphs(self, version, settings):
        setattr(settings, OF_OWNER, 1)
        in_flight(version, 3, parent_id=uuid7())
        line = make_line(version, 1)

        admission.admit()

        assert admitted_of(line) == line

    def test_nobody_who_is_paused_and_who_was_once_goes_on_in_his_place(self, version, settings):
        setattr(settings, OF_OWNER, 1)
        line = make_line(version, 3)
        Execution.objects.filter(pk=line[0]).update(is_paused=True)

        admission.admit()
        overtaken_by = admitted_of(line)
        Execution.objects.filter(pk__in=overtaken_by).update(status=Status.SUCCEEDED, ended_at=now())
        Execution.objects.filter(pk=line[0]).update(is_paused=False)
        admission.admit()

        assert overtaken_by == [line[1]]
        assert admitted_of(line) == line[:2]

    def test_all_in_several_rounds_where_they_are_many(self, version, monkeypatch):
        monkeypatch.setattr(admission, "AT_ONCE", 3)
        line = make_line(version, 8)

        count = admission.admit()

        assert (count, admitted_of(line)) == (8, line)

    def test_those_of_many_owners_in_messages_that_they_share(self, broker):
        for _ in range(30):
            make_line(plain(), 1)

        admission.admit()

        messages_of_all = [json.loads(message) for message in broker.lrange("default", 0, -1)]
        assert len(messages_of_all) == -(-30 // messages.MAX_LANES)

    def test_a_retry_with_what_stands_of_the_ended_one(self, broker):
        version = make_published([node("a", "test.echo-io", input=1), node("b", "test.echo-cpu", input=1)])
        plan = plan_of(version.pk)
        done = [plan.nodes[plan.index_of["a"]].segment]
        make_line(version, 1, segments_done=done, plan_mark=plan.mark)

        admission.admit()

        assert (broker.llen("default"), broker.llen("cpu")) == (0, 1)


class TestLimitOfAGraph:
    def test_lets_others_of_the_owner_overtake(self):
        owner = make_user()
        narrow, wide = plain(owner, limit=2), plain(owner)
        first, second = make_line(narrow, 5), make_line(wide, 3)

        admission.admit()

        assert (admitted_of(first), admitted_of(second)) == (first[:2], second)

    def test_counts_what_everybody_runs_of_it(self):
        narrow = plain(limit=3)
        in_flight(narrow, 1, owner_id=make_user().pk)
        line = [*make_line(narrow, 4), *make_line(narrow, 4, owner_id=make_user().pk)]

        admission.admit()

        assert len(admitted_of(line)) == 2

    def test_keeps_a_start_in_line(self, settings):
        version = plain(limit=1)

        first, second = start(version), start(version)

        assert (first.launched_at, second.launched_at) == (None, None)


class TestFairness:
    @pytest.mark.slow
    def test_a_flood_of_one_owner_leaves_the_others_their_turn(self, settings):
        setattr(settings, OF_ALL, 10)
        flood, few = plain(), plain()
        many = make_line(flood, 2000)
        admission.admit()
        five = make_line(few, 5)

        ended = 0
        while len(admitted_of(five)) < 5:
            free_one(many)
            admission.admit()
            ended += 1

        # Each that ends makes room for the owner with the fewest in flight, who is the small one until both have as many.
        assert ended == 5

    def test_the_nth_of_an_owner_is_among_the_first_n_times_owners(self, settings):
        setattr(settings, OF_ALL, 12)
        owners = [plain() for _ in range(4)]
        lines = [make_line(version, count) for version, count in zip(owners, (300, 200, 100, 3), strict=True)]

        admission.admit()

        shares = [len(admitted_of(line)) for line in lines]
        assert shares == [3, 3, 3, 3]

    @pytest.mark.slow
    def test_chance_decides_between_owners_with_equally_many(self, settings):
        """With room for one only, nobody has any in flight when it becomes free; so whoever asked first must not win for ever."""
        setattr(settings, OF_ALL, 1)
        lines = [make_line(plain(), 200), make_line(plain(), 200)]

        for _ in range(100):
            admission.admit()
            free_one([*lines[0], *lines[1]])

        assert all(len(admitted_of(line)) > 20 for line in lines)

    def test_an_owner_below_his_limit_is_not_held_up_by_one_at_his(self, settings):
        setattr(settings, OF_OWNER, 10)
        flood, few = make_line(plain(), 500), make_line(plain(), 5)

        admission.admit()

        assert (len(admitted_of(flood)), admitted_of(few)) == (10, few)


def free_one(ids: list[UUID]) -> None:
    """End one of those that are in flight."""
    going = Execution.objects.filter(pk__in=ids, launched_at__isnull=False, status=Status.QUEUED).order_by(
        "launched_at"
    )
    Execution.objects.filter(pk=going.values_list("pk", flat=True)[0]).update(status=Status.CANCELLED, ended_at=now())


@pytest.mark.django_db(transaction=True)
class TestStart:
    def test_is_sent_at_once_clearly_below_the_limits(self, version, broker):
        execution = start(version, priority=3)

        assert (execution.launched_at is not None, execution.launches, execution.priority) == (True, 1, 3)
        stored = Execution.objects.get(pk=execution.pk)
        assert (stored.launched_at, stored.created_at) == (execution.launched_at, execution.created_at)
        assert stored.plan_mark == plan_of(version.pk).mark
        wait_until(lambda: broker.llen("default") == 1, what="The message")

    def test_near_the_limit_of_the_owner_is_admitted_right_after_the_commit(self, version, settings, broker):
        setattr(settings, OF_OWNER, 2)

        started = [start(version) for _ in range(3)]

        assert [execution.launched_at for execution in started] == [None, None, None]
        wait_until(lambda: broker.llen("default") >= 1, what="A message")
        assert [is_admitted(execution) for execution in started] == [True, True, False]

    def test_near_the_limit_of_all_asks_too(self, version, settings):
        setattr(settings, OF_ALL, 3)
        in_flight(plain(), 2)

        first = start(version)

        assert first.launched_at is None
        wait_until(lambda: is_admitted(first), what="Its admission")

    def test_stands_behind_others_of_its_owner(self, version):
        Execution.objects.filter(pk__in=make_line(version, 1)).update(is_paused=False)

        execution = start(version)

        assert execution.launched_at is None
        wait_until(lambda: is_admitted(execution), what="Its admission")

    def test_in_the_callers_transaction_is_admitted_only_after_its_commit(self, version, broker):
        with transaction.atomic():
            execution = start(version)

        assert execution.launched_at is None
        wait_until(lambda: is_admitted(execution), what="Its admission")
        wait_until(lambda: broker.llen("default") == 1, what="The message")

    def test_that_can_not_be_admitted_is_when_another_ends(self, version, settings):
        setattr(settings, OF_OWNER, 1)
        first, second = start(version), start(version)
        wait_until(lambda: is_admitted(first), what="The admission of the first")

        end(first.pk)

        wait_until(lambda: is_admitted(second), what="The admission of the second")


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_never_admits_more_than_the_limit_and_forgets_nobody(self, settings):
        setattr(settings, OF_OWNER, 5)
        versions = [plain(), plain(limit=3)]
        counts: Counter[str] = Counter()
        most: Counter[str] = Counter()
        is_over = threading.Event()

        def begin(number: int) -> None:
            for _ in range(12):
                start(versions[number % 2])
                counts["started"] += 1

        def finish(_: int) -> None:
            while not is_over.is_set():
                for execution_id in list(going()[:3]):
                    try:
                        end(execution_id)
                    except ValueError:
                        # The other one ends it.
                        counts["met"] += 1

        def watch(_: int) -> None:
            while not is_over.is_set():
                for version, limit in zip(versions, (5, 3), strict=True):
                    seen = going().filter(graph_id=version.graph_id).count()
                    most[str(limit)] = max(most[str(limit)], seen)
                reconcile()
                if counts["started"] == 96 and not Execution.objects.unfinished().exists():
                    is_over.set()

        at_once(11, lambda number: (begin if number < 8 else finish if number < 10 else watch)(number))

        assert Execution.objects.filter(status=Status.SUCCEEDED).count() == 96
        assert most["5"] <= 5
        assert most["3"] <= 3

    def test_several_that_admit_share_the_room(self, version, settings):
        setattr(settings, OF_OWNER, 20)
        line = make_line(version, 50)

        counts = at_once(6, lambda _: admission.admit())

        assert (sum(counts), admitted_of(line)) == (20, line[:20])

    def test_who_is_being_cancelled_just_now_is_left_out(self, version, settings):
        setattr(settings, OF_OWNER, 2)
        line = make_line(version, 3)

        def cancel_or_admit(number: int) -> int:
            if number:
                held.wait(10)
                try:
                    return admission.admit()
                finally:
                    done.set()
            with transaction.atomic():
                Execution.objects.filter(pk=line[0]).move(Status.CANCELLED, ended_at=now())
                held.set()
                assert done.wait(10), "Admitting must not wait for it"
                return 0

        held, done = threading.Event(), threading.Event()
        counts = at_once(2, cancel_or_admit)

        assert counts[1] + admission.admit() == 2
        assert admitted_of(line) == line[1:]


def going() -> Any:
    return Execution.objects.filter(status__in=[Status.QUEUED, Status.RUNNING], launched_at__isnull=False).values_list(
        "pk", flat=True
    )


class TestPosition:
    def test_counts_those_of_the_same_owner_who_go_first(self, version):
        make_line(plain(), 5)
        late, early = make_line(version, 3, priority=-1), make_line(version, 2)

        places = admission.positions(Execution.objects.filter(pk__in=late + early))

        assert places == dict(zip([*early, *late], range(1, 6), strict=True))

    def test_is_nowhere_once_admitted_or_paused(self, version):
        (first,) = in_flight(version, 1, Status.QUEUED)
        (paused,) = make_line(version, 1, is_paused=True)

        executions = Execution.objects.filter(pk__in=[first, paused])

        assert [admission.position(execution) for execution in executions] == [None, None]

    def test_is_asked_for_no_further_than_anybody_counts(self, version, monkeypatch):
        monkeypatch.setattr(admission, "LONGEST_LINE", 2)
        line = make_line(version, 3)

        places = admission.positions(Execution.objects.filter(pk__in=line))

        assert places == {line[0]: 1, line[1]: 2}

    def test_costs_no_query_where_nobody_stands_in_line(self, version, django_assert_num_queries):
        executions = list(Execution.objects.filter(pk__in=in_flight(version, 3)))

        with django_assert_num_queries(0):
            admission.positions(executions)


@pytest.mark.slow
class TestReadsLittle:
    """However long a line is, only its beginning is read."""

    @pytest.fixture
    def long_line(self, settings: Any) -> None:
        setattr(settings, OF_OWNER, 20)
        flood, narrow = plain(), plain(limit=1)
        make_line(flood, 3000)
        make_line(narrow, 1000)
        in_flight(flood, 19)
        in_flight(narrow, 1)
        in_flight(flood, 1000, Status.SUCCEEDED)
        for _ in range(20):
            make_line(plain(), 1)

    @pytest.mark.parametrize("is_analyzed", [False, True])
    def test_to_admit(self, long_line, settings, is_analyzed):
        if is_analyzed:
            connection.cursor().execute("ANALYZE executions_execution")

        read = rows_read("admit", per_owner=20, in_flight=1000, at_once=500)

        assert max(read) <= 100

    @pytest.mark.parametrize("is_analyzed", [False, True])
    def test_to_start(self, long_line, version, is_analyzed):
        if is_analyzed:
            connection.cursor().execute("ANALYZE executions_execution")

        read = rows_read("start", **parameters_of(Execution(version=version, graph=version.graph, owner_id=1)))

        assert max(read) <= 100


def parameters_of(execution: Execution) -> dict[str, Any]:
    return {
        "id": execution.pk,
        "graph_id": execution.graph_id,
        "version_id": execution.version_id,
        "owner_id": execution.version.graph.owner_id,
        "priority": 0,
        "retried_from_id": None,
        "inputs": "{}",
        "segments_done": [],
        "plan_mark": "",
        "api_key": "",
        "is_alone": True,
        "per_owner": 100,
        "in_flight": 1000,
        "margin": 16,
    }


def rows_read(name: str, **values: Any) -> list[float]:
    """Return how many rows of executions each step of a statement looked at, those it dropped included."""
    sql = b"EXPLAIN (ANALYZE, FORMAT JSON) " + statements._statement(name)
    with statements.cursor() as cursor:
        cursor.execute(sql, values)
        (((planned,),),) = cursor.fetchall()
    return list(looked_at((planned if isinstance(planned, dict) else json.loads(planned)[0])["Plan"]))


def looked_at(step: dict[str, Any]) -> Iterator[float]:
    if "executions_execution" in step.get("Relation Name", "") and "Scan" in step["Node Type"]:
        dropped = step.get("Rows Removed by Filter", 0) + step.get("Rows Removed by Index Recheck", 0)
        yield step["Actual Loops"] * (step["Actual Rows"] + dropped)
    for inner in step.get("Plans", ()):
        yield from looked_at(inner)
