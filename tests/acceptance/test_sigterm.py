"""A worker that is asked to stop ends what it can, hands on the rest, and goes: nothing is lost, and nothing counts as a crash."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from blocks import registry
from executions import reconcile, services
from executions.engine.status import FINAL, NodeStatus, Status
from executions.models import Execution, NodeExecution
from tests.acceptance.crew import (
    BLOCKS,
    EFFECTS,
    ROWS,
    SHORT_LEASES,
    Crew,
    one_way,
    start_many,
    two_ways,
    working,
)
from tests.acceptance.hostile import HOSTILE, Compute, HoldLoop, Spend, Swallow
from tests.acceptance.probes import PROBES, Act, ActOnce
from tests.factories import rows_of
from tests.scale import long, many
from tests.servers import Worker, start_worker, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

HOSTILE_TOO = {"AGENTPLATFORM_EXTRA_BLOCKS": f"{BLOCKS['AGENTPLATFORM_EXTRA_BLOCKS']},tests.acceptance.hostile:HOSTILE"}


@pytest.fixture(autouse=True)
def _blocks() -> None:
    registry.register(*PROBES, *HOSTILE)


@pytest.fixture
def hurried(django_db_setup: None, tmp_path: Path) -> Iterator[Crew]:
    """Workers with the leases of a real installation, that give what runs a second to end."""
    with crew_in(tmp_path, {"AGENTPLATFORM_SOFT_SHUTDOWN_S": "1"}) as crew:
        yield crew


@pytest.fixture
def patient(django_db_setup: None, tmp_path: Path) -> Iterator[Crew]:
    """Workers that give what runs as long as it wants to end."""
    with crew_in(tmp_path, {"AGENTPLATFORM_SOFT_SHUTDOWN_S": "600"}) as crew:
        yield crew


@contextmanager
def crew_in(folder: Path, environment: Mapping[str, str]) -> Iterator[Crew]:
    with working(folder, {**HOSTILE_TOO, **environment}) as crew:
        yield crew


def ask_to_stop(worker: Worker) -> None:
    worker.process.send_signal(signal.SIGTERM)


def wait_until_gone(worker: Worker) -> None:
    """Wait until a worker that was asked to stop has gone: long before what runs, or the patience of `patient`, would end."""
    wait_until(
        lambda: worker.process.poll() is not None, within_s=60.0, what=f"The end of the worker\n{worker.output()}"
    )


def wait_for_beginning(crew: Crew, ids: list[UUID]) -> None:
    wait_until(lambda: len(crew.effects_of(ids)) == len(ids), what="The beginning")


def wait_for_end(ids: list[UUID], *, within_s: float = 60.0, reconciles: bool = False) -> None:
    def is_over() -> bool:
        if reconciles:
            reconcile.reconcile()
        return not Execution.objects.filter(pk__in=ids).exclude(status__in=FINAL).exists()

    wait_until(is_over, within_s=within_s, what="The end of all executions")


def cancel(ids: list[UUID]) -> None:
    for execution in Execution.objects.filter(pk__in=ids):
        services.cancel(execution)
    wait_for_end(ids)


def rows(ids: list[UUID], key: str = "act") -> set[tuple[str, int, int]]:
    firings = NodeExecution.objects.filter(execution_id__in=ids, node_key=key)
    return set(firings.values_list("status", "attempt", "crashes"))


@pytest.mark.parametrize("queue", ["default", pytest.param("cpu", marks=long)])
def test_an_idle_worker_goes_at_once(patient, queue):
    worker: Worker = getattr(patient, queue)

    ask_to_stop(worker)

    wait_until_gone(worker)
    assert worker.process.returncode == 0


def test_what_runs_may_end_within_its_time(patient):
    ids = start_many(one_way(Act, seconds=2.0), 5)
    wait_for_beginning(patient, ids)

    ask_to_stop(patient.default)
    wait_until_gone(patient.default)

    assert rows(ids) == {(NodeStatus.SUCCEEDED, 1, 0)}
    # What came after it was sent on to somebody else.
    patient.replace_default()
    wait_for_end(ids)
    assert set(patient.effects_of(ids).values()) == {1}


def test_what_takes_longer_is_handed_on_at_once_with_what_it_has_used(hurried):
    ids = start_many(one_way(Spend, seconds=600.0), 5)
    wait_for_beginning(hurried, ids)
    old = hurried.default
    hurried.replace_default()

    ask_to_stop(old)
    wait_until(lambda: set(hurried.effects_of(ids).values()) == {2}, within_s=60.0, what="The second beginning")
    wait_until_gone(old)

    assert old.process.returncode == 0
    assert rows(ids) == {(NodeStatus.RUNNING, 2, 0)}
    cancel(ids)
    assert set(Execution.objects.filter(pk__in=ids).values_list("input_tokens", "cost_microcredits")) == {(6, 6)}


def test_what_must_happen_once_only_is_left_to_a_person(hurried):
    (id_,) = start_many(one_way(ActOnce, seconds=600.0), 1)
    wait_for_beginning(hurried, [id_])
    old = hurried.default
    hurried.replace_default()

    ask_to_stop(old)

    wait_until_gone(old)
    wait_until(lambda: rows_of(id_)["act", ()].status == NodeStatus.WAITING, within_s=60.0, what="The question")
    assert (rows_of(id_)["act", ()].error_code, hurried.effects_of([id_]).total()) == ("NEEDS_DECISION", 1)


def test_a_block_that_computes_is_ended_and_handed_on(hurried):
    ids = start_many(one_way(Compute, seconds=600.0), 1)
    wait_for_beginning(hurried, ids)
    old = hurried.cpu
    hurried.replace_cpu()

    ask_to_stop(old)
    wait_until(lambda: set(hurried.effects_of(ids).values()) == {2}, within_s=60.0, what="The second beginning")
    wait_until_gone(old)

    assert rows(ids) == {(NodeStatus.RUNNING, 2, 0)}
    cancel(ids)


@pytest.mark.parametrize("block", [Swallow, pytest.param(HoldLoop, marks=long)])
def test_blocks_that_do_not_stop_do_not_keep_the_worker(hurried, block):
    ids = start_many(one_way(block, seconds=600.0), 2)
    wait_until(lambda: hurried.effects_of(ids), what="The beginning")

    ask_to_stop(hurried.default)

    wait_until_gone(hurried.default)
    assert {status for status, _, crashes in rows(ids) if not crashes} == {NodeStatus.PENDING}


def test_a_rolling_restart_under_load_loses_nothing(tmp_path, django_db_setup, settings: Any):
    settings.AGENTPLATFORM_RECONCILE_S = SHORT_LEASES["AGENTPLATFORM_RECONCILE_S"]
    with crew_in(tmp_path, {"AGENTPLATFORM_SOFT_SHUTDOWN_S": "2"}) as crew:
        workers = [crew.default, start_worker("default", "threads", extra_env=crew.environment)]
        try:
            ids = start_many(two_ways(), many(100))
            wait_until(lambda: len(crew.effects_of(ids)) > many(50), what="The load")

            for place, old in enumerate(workers):
                ask_to_stop(old)
                wait_until_gone(old)
                assert (old.process.returncode, "Traceback" in old.output()) == (0, False), old.output()
                workers[place] = start_worker("default", "threads", extra_env=crew.environment)
            old = crew.cpu
            ask_to_stop(old)
            wait_until_gone(old)
            crew.replace_cpu()

            wait_for_end(ids, within_s=120, reconciles=True)
        finally:
            for worker in workers:
                worker.kill9()

        firings = NodeExecution.objects.filter(execution_id__in=ids)
        assert set(Execution.objects.filter(pk__in=ids).values_list("status", flat=True)) == {Status.SUCCEEDED}
        assert set(firings.values_list("status", "crashes", "attempt")) == {(NodeStatus.SUCCEEDED, 0, 1)}
        assert firings.count() == ROWS * len(ids)
        effects = crew.effects_of(ids)
        assert (len(effects), set(effects.values())) == (EFFECTS * len(ids), {1})
