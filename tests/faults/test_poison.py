"""F15 and F16: what takes its process with it is given up after three, and its neighbours go on."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from uuid import UUID

import pytest

from executions.leases import MAX_LOSSES
from executions.models import Execution, NodeExecution
from tests.faults.blocks import Die, DieWaiting
from tests.faults.load import Load
from tests.faults.shapes import make_diamond, make_one
from tests.faults.sound import assert_sound
from tests.faults.stack import Member, Stack
from tests.scale import long
from tests.servers import wait_until

pytestmark = pytest.mark.slow

POISON = frozenset({("FAILED", "POISON")})
#: Enough for a worker, and far from what the block asks for.
MEMORY_BYTES = 2 << 30


@pytest.mark.parametrize("how", ["exit", pytest.param("segfault", marks=long)])
def test_what_ends_its_pool_process_is_given_up_after_three(stack: Stack, load: Load, how: str):
    stack.worker("one"), stack.worker("cpu", "cpu")

    (poison,) = load.begin(make_one(Die, name=how, also=POISON, how=how))
    load.begin(make_diamond(seconds=0.05), 6)

    assert_sound(load)
    assert ended(poison) == ("FAILED", "POISON", 3)
    assert all(ended(one)[0] == "SUCCEEDED" for one in load.ids if one != poison)


@pytest.mark.parametrize(("how", "code"), [("kill", -9), pytest.param("exit", 3, marks=long)])
def test_what_ends_the_whole_worker_is_given_up_after_three(stack: Stack, load: Load, how: str, code: int):
    worker = stack.worker("one", is_kept=True, concurrency=12)
    worker.wait()

    (poison,) = load.begin(make_one(DieWaiting, name=how, also=POISON, how=how))

    assert_sound(load)
    assert ended(poison) == ("FAILED", "POISON", 3)
    assert worker.deaths == [code] * 3


def test_workers_that_stand_still_are_not_taken_for_lost(stack: Stack, load: Load):
    workers = [stack.worker("one"), stack.worker("two")]
    for worker in workers:
        worker.wait()

    with stack.sink.holding():
        (execution_id,) = load.begin(make_one())
        stack.sink.wait_for(1, ids=load.ids)
        for times in range(1, MAX_LOSSES + 2):
            stand_still_until_another_takes_over(execution_id, workers, times)

    assert_sound(load)
    assert ended(execution_id) == ("SUCCEEDED", "", MAX_LOSSES + 1)


@long
def test_those_beside_what_ends_the_worker_are_not_given_up_with_it(stack: Stack, load: Load):
    worker = stack.worker("one", is_kept=True, concurrency=12)
    worker.wait()

    load.begin(make_one(name="neighbour", seconds=2.0), 4)
    (poison,) = load.begin(make_one(DieWaiting, name="exit", also=POISON, how="exit"))

    assert_sound(load)
    assert ended(poison)[:2] == ("FAILED", "POISON")


def test_endless_recursion_is_a_failure_of_its_block(stack: Stack, load: Load):
    stack.worker("one"), stack.worker("cpu", "cpu")

    (deep,) = load.begin(
        make_one(Die, name="recursion", also=frozenset({("FAILED", "BLOCK_CRASHED")}), how="recursion")
    )

    assert_sound(load)
    assert ended(deep)[1] == "BLOCK_CRASHED"


def test_a_worker_that_runs_out_of_memory_serves_the_next(stack: Stack, load: Load):
    stack.worker("one")
    cpu = stack.worker("cpu", "cpu", prefix=["prlimit", f"--as={MEMORY_BYTES}"])

    (hungry,) = load.begin(make_one(Die, name="memory", also=frozenset({("FAILED", "BLOCK_CRASHED")}), how="memory"))
    load.begin(make_diamond(), 2)

    assert_sound(load)
    assert ended(hungry)[1] == "BLOCK_CRASHED"
    assert "MemoryError" in Execution.objects.get(pk=hungry).error_message
    assert cpu.is_up


def stand_still_until_another_takes_over(execution_id: UUID, workers: Sequence[Member], times: int) -> None:
    """Stop whoever holds the firing of an execution until it is taken over for the so many-th time; then let it go on and speak."""
    firing = NodeExecution.objects.filter(execution_id=execution_id, node_key="act")
    holder = next(one for one in workers if firing.get().worker.endswith(f":{one.pid}"))
    holder.send(signal.SIGSTOP)
    wait_until(lambda: firing.get().crashes == times, what="The take-over")
    holder.send(signal.SIGCONT)
    wait_until(lambda: firing.get().lost_fences == [], what="The word of who was taken for lost")


def ended(execution_id: object) -> tuple[str, str, int]:
    """Return how an execution ended, and how many workers its firing was lost with."""
    execution = Execution.objects.get(pk=execution_id)
    crashes = NodeExecution.objects.filter(execution_id=execution.pk, node_key="act").values_list("crashes", flat=True)
    return execution.status, execution.error_code, max(crashes, default=0)
