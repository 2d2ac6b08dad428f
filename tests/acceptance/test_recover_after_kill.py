"""Whatever is killed or lost: every execution ends, and every firing is settled once."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from blocks import registry
from executions import services
from executions.engine.status import NodeStatus, Status
from executions.models import Execution, NodeExecution
from tests.acceptance.crew import (
    SHORT_LEASES,
    Crew,
    assert_all_ended_well,
    one_way,
    running_beat,
    start_many,
    two_ways,
    wait_for_end,
    working,
)
from tests.acceptance.probes import PROBES, ActOnce
from tests.factories import make_execution
from tests.scale import long
from tests.servers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def crew(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """Workers with short leases."""
    environment = {name: str(value) for name, value in SHORT_LEASES.items()}
    with working(tmp_path_factory.mktemp("crew"), environment) as crew:
        yield crew


@pytest.fixture(autouse=True)
def _short_leases(settings: Any) -> None:
    registry.register(*PROBES)
    for name, value in SHORT_LEASES.items():
        setattr(settings, name, value)


HOW_MANY = pytest.mark.parametrize("count", [10, pytest.param(100, marks=[pytest.mark.slow, long])])


@HOW_MANY
def test_goes_on_after_the_worker_is_killed(crew, count):
    ids = start_many(two_ways(), count)

    wait_until(lambda: len(crew.effects_of(ids)) >= count, what="The middle of the work")
    crew.default.kill9()
    crew.replace_default()

    assert_all_ended_well(crew, ids)


@HOW_MANY
def test_goes_on_after_a_pool_process_is_killed(crew, count):
    ids = start_many(two_ways(), count)

    wait_until(lambda: len(crew.effects_of(ids)) >= count, what="The middle of the work")
    for pid in crew.cpu.children:
        os.kill(pid, signal.SIGKILL)

    assert_all_ended_well(crew, ids)


@HOW_MANY
def test_goes_on_after_the_broker_has_lost_everything(crew, count, redis_url):
    ids = start_many(two_ways(), count)

    wait_until(lambda: len(crew.effects_of(ids)) >= count, what="The middle of the work")
    # Not FLUSHALL: the other test process has a database of its own on this server.
    redis.Redis.from_url(redis_url).flushdb()

    assert_all_ended_well(crew, ids)
    assert max(crew.effects_of(ids).values()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("count", [pytest.param(100, marks=long), 10])
def test_never_repeats_what_may_happen_once_only(crew, count):
    ids = start_many(one_way(ActOnce, seconds=0.5), count)

    wait_until(lambda: len(crew.effects_of(ids)) >= min(count, 20), what="The middle of the work")
    crew.default.kill9()
    crew.replace_default()
    wait_for_end(ids, or_rest=True)

    assert set(crew.effects_of(ids).values()) == {1}
    stands = Counter(Execution.objects.filter(pk__in=ids).values_list("status", flat=True))
    assert set(stands) <= {Status.SUCCEEDED, Status.WAITING}
    assert stands[Status.WAITING] >= 1
    interrupted = NodeExecution.objects.filter(execution_id__in=ids, error_code="NEEDS_DECISION")
    assert set(interrupted.values_list("node_key", "status", "crashes")) == {("act", NodeStatus.WAITING, 1)}
    assert interrupted.count() == stands[Status.WAITING]


@pytest.mark.slow
def test_beat_admits_what_stands_in_line(crew):
    version = two_ways()
    execution = make_execution(version, inputs={"number": 1})

    with running_beat(crew.environment):
        ended = services.wait(execution.pk, timeout_s=30)

    assert (ended.status, ended.launches) == (Status.SUCCEEDED, 1)
