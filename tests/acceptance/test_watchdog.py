"""Time limits are real: what does not end is ended, with its process if it must be, and nobody else is blamed for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from blocks import registry
from blocks.sdk import Block
from executions import reconcile, services
from executions.engine.spec import LinkSpec
from executions.engine.status import FINAL, NodeStatus, Status
from executions.models import Execution, NodeExecution
from graphs.models import GraphVersion
from tests.acceptance.crew import BLOCKS, SHORT_LEASES, Crew, one_way, probe, start_many, working
from tests.acceptance.hostile import (
    HOSTILE,
    Compute,
    Exit,
    ExitComputing,
    HoldInterpreter,
    HoldLoop,
    Spin,
    Swallow,
)
from tests.acceptance.probes import PROBES, Act
from tests.blocks import node
from tests.factories import make_published, rows_of
from tests.scale import long
from tests.servers import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


#: Long enough not to run out where a machine is busy: nobody is blamed here without a reason.
LEASE_S = 3.0


@pytest.fixture(scope="module")
def crew(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """Workers with short leases."""
    environment = {name: str(value) for name, value in SHORT_LEASES.items()} | {"AGENTPLATFORM_LEASE_S": str(LEASE_S)}
    blocks = {"AGENTPLATFORM_EXTRA_BLOCKS": f"{BLOCKS['AGENTPLATFORM_EXTRA_BLOCKS']},tests.acceptance.hostile:HOSTILE"}
    with working(tmp_path_factory.mktemp("crew"), environment | blocks) as crew:
        yield crew


@pytest.fixture(autouse=True)
def _short_leases(settings: Any) -> None:
    registry.register(*PROBES, *HOSTILE)
    for name, value in SHORT_LEASES.items():
        setattr(settings, name, value)


def limited(block: type[Block], timeout_s: float, *, seconds: float = 60.0) -> GraphVersion:
    """Return a graph of one block that may take so long."""
    hostile = replace(probe("act", block, seconds=seconds), timeout_s=timeout_s)
    nodes = [node("number", "test.input", name="number"), hostile, node("result", "test.output", name="result")]
    links = [LinkSpec("number", "output", "act", "input"), LinkSpec("act", "output", "result", "input")]
    return make_published(nodes, links)


def wait_for_end(crew: Crew, ids: list[UUID], *, within_s: float = 60.0) -> None:
    """Wait until all have ended; meanwhile reconcile as beat would, and start again what died as a supervisor would."""
    due = time.monotonic()

    def is_over() -> bool:
        nonlocal due
        if time.monotonic() >= due:
            reconcile.reconcile()
            due = time.monotonic() + SHORT_LEASES["AGENTPLATFORM_RECONCILE_S"]
        if crew.default.process.poll() is not None:
            crew.replace_default()
        return not Execution.objects.filter(pk__in=ids).exclude(status__in=FINAL).exists()

    wait_until(is_over, within_s=within_s, what="The end of all executions")


def wait_for_beginning(crew: Crew, ids: list[UUID]) -> None:
    wait_until(lambda: len(crew.effects_of(ids)) == len(ids), what="The beginning")


def endings(ids: list[UUID]) -> set[tuple[str, str]]:
    return set(Execution.objects.filter(pk__in=ids).values_list("status", "error_code"))


def crashes(ids: list[UUID]) -> set[int]:
    return set(NodeExecution.objects.filter(execution_id__in=ids).values_list("crashes", flat=True))


SUCCEEDED, TIMED_OUT = (Status.SUCCEEDED, ""), (Status.FAILED, "TIMEOUT")


def test_a_block_that_swallows_its_time_limit_is_left_behind(crew):
    ids = start_many(limited(Swallow, 1.0, seconds=600.0), 2)
    wait_for_beginning(crew, ids)
    pid = crew.default.pid

    # Long before the block would.
    wait_for_end(crew, ids)

    assert endings(ids) == {TIMED_OUT}
    # What it used until then counts; what it says afterwards does not.
    assert set(Execution.objects.filter(pk__in=ids).values_list("input_tokens", flat=True)) == {1003}
    assert (crew.default.pid, crew.default.process.poll()) == (pid, None)
    others = start_many(one_way(Act), 3)
    wait_for_end(crew, others)
    assert endings(others) == {SUCCEEDED}


def test_a_block_that_keeps_the_event_loop_ends_its_process_and_is_blamed_alone(crew):
    innocent = start_many(one_way(Act, seconds=4.0), 5)
    wait_for_beginning(crew, innocent)
    guilty = start_many(limited(HoldLoop, 7.0), 1)
    wait_for_beginning(crew, guilty)
    worker = crew.default

    wait_for_end(crew, [*guilty, *innocent])

    assert endings(guilty) == {TIMED_OUT}
    assert endings(innocent) == {SUCCEEDED}
    assert crashes([*guilty, *innocent]) == {0}
    assert (worker.process.poll(), max(crew.effects_of(guilty).values())) == (-9, 1)
    said = worker.output()
    assert "hostile.hold-loop in node act" in said
    assert "time.sleep(seconds)" in said


def test_a_block_that_computes_beyond_its_time_limit_is_killed(crew):
    before = set(crew.cpu.children)
    ids = start_many(limited(Compute, 1.0), 2)
    others = start_many(one_way(Compute, seconds=0.1), 4)

    wait_for_end(crew, [*ids, *others])

    assert endings(ids) == {TIMED_OUT}
    assert endings(others) == {SUCCEEDED}
    assert crashes([*ids, *others]) == {0}
    assert set(crew.effects_of([*ids, *others]).values()) == {1}
    wait_until(lambda: len(set(crew.cpu.children) - before) == 2, what="The replacement of the killed processes")
    assert crew.cpu.process.poll() is None


def test_a_block_that_only_computes_and_never_comes_back_fails_once(crew):
    ids = start_many(limited(Spin, 1.0), 1)
    worker = crew.default

    wait_for_end(crew, ids)

    wait_until(lambda: worker.process.poll() is not None, what="The end of the process")
    row = rows_of(ids[0])["act", ()]
    assert endings(ids) == {TIMED_OUT}
    assert (row.status, row.error_code, max(crew.effects_of(ids).values())) == (NodeStatus.FAILED, "TIMEOUT", 1)
    if crew.default is worker:
        crew.replace_default()


def test_a_process_that_nothing_can_run_in_ends_all_the_same(crew):
    before = set(crew.cpu.children)
    ids = start_many(limited(HoldInterpreter, 1.0, seconds=600.0), 1)

    wait_for_end(crew, ids, within_s=90)

    assert endings(ids) == {(Status.FAILED, "POISON")}
    others = start_many(one_way(Compute, seconds=0.1), 4)
    wait_for_end(crew, others)
    assert endings(others) == {SUCCEEDED}
    wait_until(lambda: not before & set(crew.cpu.children), what="The end of the processes that hang")
    assert "hostile.py" in crew.cpu.output()


@pytest.mark.parametrize("block", [pytest.param(Exit, marks=long), ExitComputing])
def test_what_ends_three_workers_is_not_begun_a_fourth_time(crew, block):
    ids = start_many(one_way(block), 1)

    wait_for_end(crew, ids, within_s=120)

    row = rows_of(ids[0])["act", ()]
    assert endings(ids) == {(Status.FAILED, "POISON")}
    assert (row.crashes, row.attempt, list(crew.effects_of(ids).values())) == (3, 4, [3])


def test_a_cancelled_execution_ends_although_its_worker_is_gone(crew):
    ids = start_many(one_way(Act, seconds=60.0), 3)
    wait_for_beginning(crew, ids)
    crew.default.kill9()

    for execution in Execution.objects.filter(pk__in=ids):
        services.cancel(execution)
    wait_for_end(crew, ids, within_s=20)

    assert endings(ids) == {(Status.CANCELLED, "")}
