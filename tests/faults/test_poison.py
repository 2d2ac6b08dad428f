"""F15 and F16: what takes its process with it is given up after three, and its neighbours go on."""

from __future__ import annotations

import pytest

from executions.models import Execution, NodeExecution
from tests.faults.blocks import Die, DieWaiting
from tests.faults.load import Load
from tests.faults.shapes import make_diamond, make_one
from tests.faults.sound import assert_sound
from tests.faults.stack import Stack
from tests.scale import long

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


def test_what_ends_the_whole_worker_is_given_up_after_three(stack: Stack, load: Load):
    worker = stack.worker("one", is_kept=True, concurrency=12)
    worker.wait()

    (poison,) = load.begin(make_one(DieWaiting, name="exit", also=POISON, how="exit"))

    assert_sound(load)
    assert ended(poison) == ("FAILED", "POISON", 3)
    assert worker.deaths == [3, 3, 3]


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


def ended(execution_id: object) -> tuple[str, str, int]:
    """Return how an execution ended, and how many workers its firing was lost with."""
    execution = Execution.objects.get(pk=execution_id)
    crashes = NodeExecution.objects.filter(execution_id=execution.pk, node_key="act").values_list("crashes", flat=True)
    return execution.status, execution.error_code, max(crashes, default=0)
