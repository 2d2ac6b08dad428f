"""F4-F6 and F11: the broker stops, forgets everything, or is out of reach, and nothing that was accepted is lost."""

from __future__ import annotations

import statistics
import time

import pytest

from executions.models import Execution, NodeExecution
from tests.faults.chaosproxy import Mode
from tests.faults.load import Accepted, Load
from tests.faults.shapes import make_chain, make_diamond, make_items, make_one
from tests.faults.sound import assert_sound
from tests.faults.stack import PATIENT, Route, Stack
from tests.scale import long

pytestmark = pytest.mark.slow


def test_goes_on_over_restarts_of_a_broker_that_remembers(stack: Stack, load: Load):
    stack.worker("one").wait()
    stack.worker("cpu", "cpu").wait()
    shape = make_diamond(seconds=0.05)

    for _ in range(3):
        load.begin(shape, 8)
        stack.stop_broker()
        stack.resume(stack.broker.name)

    assert_sound(load)
    assert_messages_are_taken(stack, load)


def test_goes_on_when_the_broker_has_forgotten_everything(stack: Stack, load: Load):
    stack.worker("one").wait()
    stack.worker("cpu", "cpu").wait()

    load.begin(make_diamond(seconds=0.1), 12)
    stack.sink.wait_for(18, ids=load.ids)
    stack.redis().flushall()
    load.begin(make_items(), 4)
    stack.lose_broker()
    stack.resume(stack.broker.name)

    assert_sound(load)
    assert_messages_are_taken(stack, load)


def test_accepts_and_keeps_while_the_broker_is_away(stack: Stack, load: Load):
    stack.worker("one").wait()
    shape = make_chain()
    load.begin(shape)
    stack.stop_broker()

    took_s = []
    for _ in range(20):
        began = time.monotonic()
        assert isinstance(load.ask(shape), Accepted)
        took_s.append(time.monotonic() - began)
    rows = Execution.objects.filter(pk__in=load.ids).count()
    stack.resume(stack.broker.name)

    assert_sound(load)
    # Who waited for the broker would wait for some seconds, each time.
    assert statistics.median(took_s) < 1.0
    assert rows == 21


@pytest.mark.parametrize("mode", [Mode.BLACKHOLE, Mode.HALF_OPEN, Mode.REFUSE])
def test_what_runs_is_finished_without_the_broker(stack: Stack, load: Load, mode: Mode):
    broker = stack.proxy("broker")
    stack.worker("one", route=Route(broker=broker), **PATIENT).wait()

    with stack.sink.holding():
        load.begin(make_one(), 3)
        stack.sink.wait_for(3, ids=load.ids)
        broker.set(mode)
    load.wait()
    broker.heal()

    assert_sound(load)
    assert set(stack.sink.counts(load.ids).values()) == {1}
    assert_messages_are_taken(stack, load)


@long
def test_connections_that_are_reset_again_and_again_lose_nothing(stack: Stack, load: Load):
    broker = stack.proxy("broker")
    stack.worker("one", route=Route(broker=broker), **PATIENT).wait()
    stack.worker("cpu", "cpu", route=Route(broker=broker), **PATIENT).wait()
    shape = make_diamond()

    for _ in range(6):
        load.begin(shape, 2)
        broker.reset()

    assert_sound(load)
    assert not NodeExecution.objects.filter(execution_id__in=load.ids, attempt__gt=1).exists()


def assert_messages_are_taken(stack: Stack, load: Load) -> None:
    """Look whether the workers consume again by themselves, without anybody starting them anew."""
    (canary,) = load.begin(make_one(name="canary"))
    load.wait(ids=[canary], within_s=60)
    assert all(member.starts == 1 for name, member in stack.members.items() if name in ("one", "cpu"))
