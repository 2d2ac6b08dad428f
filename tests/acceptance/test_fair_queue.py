"""The line before the workers: never more than the limits at a time, everybody in turn, nobody forgotten; without beat's help."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from executions import services
from executions.engine.spec import LinkSpec
from executions.engine.status import FINAL, Status
from executions.models import Execution
from graphs.models import Graph, GraphVersion
from tests.acceptance.crew import BLOCKS
from tests.blocks import node
from tests.factories import make_published
from tests.servers import Worker, start_worker, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

LIMITS = {"AGENTPLATFORM_MAX_RUNNING_PER_OWNER": 4, "AGENTPLATFORM_MAX_IN_FLIGHT": 6}
#: Once it has room, an owner who has less in flight than the others is before them.
OWNERS = 2


@pytest.fixture(scope="module")
def worker(django_db_setup: None) -> Iterator[Worker]:
    """A worker with narrow limits."""
    worker = start_worker(extra_env={**BLOCKS, **{name: str(value) for name, value in LIMITS.items()}})
    yield worker
    worker.kill9()


@pytest.fixture(autouse=True)
def _limits(settings: Any, worker: Worker) -> None:
    for name, value in LIMITS.items():
        setattr(settings, name, value)


def graph(*, limit: int | None = None) -> GraphVersion:
    """Return a graph of its own owner, of two nodes that wait a few milliseconds."""
    nodes = [node("first", "test.echo-io", input="x"), node("then", "test.echo-io")]
    version = make_published(nodes, [LinkSpec("first", "output", "then", "input")])
    Graph.objects.filter(pk=version.graph_id).update(max_concurrent=limit)
    return version


def start(version: GraphVersion, count: int, **fields: Any) -> list[UUID]:
    owner_id = version.graph.owner_id
    return [services.start(version_id=version.pk, owner_id=owner_id, **fields).pk for _ in range(count)]


def in_flight(ids: list[UUID]) -> int:
    return Execution.objects.filter(pk__in=ids, launched_at__isnull=False).exclude(status__in=FINAL).count()


def wait_for_end(ids: list[UUID], *, at_most: int) -> None:
    """Wait until all have succeeded, and look all the time how many are in flight."""

    def is_over() -> bool:
        assert in_flight(ids) <= at_most
        return Execution.objects.filter(pk__in=ids, status=Status.SUCCEEDED).count() == len(ids)

    wait_until(is_over, within_s=60, what="The end of all")


def in_order(ids: list[UUID]) -> list[Execution]:
    """Return them as they began."""
    return list(Execution.objects.filter(pk__in=ids).order_by("started_at"))


def test_all_end_and_never_more_than_the_limit_run_at_a_time():
    ids = start(graph(), 60)

    wait_for_end(ids, at_most=4)

    assert set(Execution.objects.filter(pk__in=ids).values_list("launches", flat=True)) == {1}


def test_a_flood_of_one_owner_does_not_hold_up_another():
    flood, few = graph(), graph()
    many = start(flood, 80)
    five = start(few, 5)

    wait_for_end(many + five, at_most=6)

    came_at = Execution.objects.get(pk=five[0]).created_at
    last = in_order(five)[-1].started_at
    between = Execution.objects.filter(pk__in=many, started_at__gt=came_at, started_at__lt=last).count()
    # What was in flight when they came, and then one of the flood for each of theirs.
    assert between <= LIMITS["AGENTPLATFORM_MAX_IN_FLIGHT"] + OWNERS * len(five)


def test_a_graph_with_a_limit_of_its_own_keeps_it():
    ids = start(graph(limit=1), 12)

    wait_for_end(ids, at_most=1)

    began = in_order(ids)
    assert all(one.ended_at and next_.started_at and one.ended_at <= next_.started_at for one, next_ in pairwise(began))


def test_the_higher_priority_goes_first():
    version = graph(limit=1)
    with transaction.atomic():
        usual = start(version, 6)
        urgent = start(version, 3, priority=5)

    wait_for_end(usual + urgent, at_most=1)

    assert [execution.pk for execution in in_order(usual + urgent)] == urgent + usual
