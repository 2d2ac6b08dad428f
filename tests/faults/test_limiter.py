"""F25: a herd at one limiter; and its server stops, starts and forgets: without it nobody is let through, after it the limits hold."""

from __future__ import annotations

import shutil
import time

import pytest

from agentplatform.local.valkey import Valkey
from executions.engine.status import FINAL
from executions.models import Execution, NodeExecution
from tests.faults.blocks import AskFiveASecond, AskInTurn
from tests.faults.load import Load
from tests.faults.shapes import make_items, make_one
from tests.faults.sound import assert_sound
from tests.faults.stack import Member, Stack
from tests.scale import long
from tests.servers import wait_until
from tests.turns import most_in, watched

pytestmark = pytest.mark.slow

UNAVAILABLE = frozenset({("FAILED", "RATE_LIMITER_UNAVAILABLE")})
STAYS_S = 0.3
#: What was let through before the stop may be on its way still.
ON_ITS_WAY_S = 0.5
#: The server notes a command some time after the script has read the clock, and the sink a call later still.
LATE_S = 0.1


class Counting:
    """The server that counts turns, beside the broker."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.valkey = Valkey(stack.folder / "limits")
        self.member = stack.add(Member("limits", lambda _: self.valkey.service(), stack.logs))
        self.member.wait()
        for name in ("one", "two"):
            stack.worker(name, REDIS_URL=self.valkey.url).wait()

    def stop(self, *, forgets: bool = False) -> float:
        """Stop it, in good order or for good. Return when it was gone."""
        if not forgets:
            self.stack.stop_member("limits")
        else:
            self.member.kill9()
            shutil.rmtree(self.valkey.folder / "appendonlydir")
        return time.time()

    def resume(self) -> float:
        """Start it again. Return when that was begun."""
        began = time.time()
        self.stack.resume("limits")
        return began


@pytest.fixture
def counting(stack: Stack) -> Counting:
    return Counting(stack)


def came_at(load: Load) -> list[float]:
    return sorted(effect.at for effect in load.stack.sink.all())


@pytest.mark.parametrize("forgets", [pytest.param(False, marks=long), True])
def test_whoever_waits_goes_on_when_it_is_back(load: Load, counting: Counting, forgets: bool):
    load.begin(make_one(AskInTurn, seconds=STAYS_S), 40)
    load.stack.sink.wait_for(8, ids=load.ids)

    stopped = counting.stop(forgets=forgets)
    time.sleep(2.5)
    resumed = counting.resume()

    assert_sound(load)
    moments = came_at(load)
    assert len(moments) == 40
    assert not [moment for moment in moments if stopped + ON_ITS_WAY_S < moment < resumed]
    # What has forgotten who is inside is told again with the next renewal: until then, as many more may come.
    most = AskInTurn.rate_limiter.limits.max_concurrent
    limits = AskInTurn.rate_limiter.limits
    assert most_in(moments, STAYS_S - LATE_S) <= most * (2 if forgets else 1)
    assert most_in(moments, 1.0 - LATE_S) <= limits.rate_per_second + 2 * limits.burst


@long
def test_five_hundred_wait_at_five_a_second_over_four_workers(stack: Stack, load: Load):
    rate, burst = AskFiveASecond.rate_limiter.limits.rate_per_second, AskFiveASecond.rate_limiter.limits.burst
    assert (rate, burst) == (5, 5)
    load.begin(make_items(100, block=AskFiveASecond), 5)

    with watched(stack.valkey.url) as given_at:
        for name in ("one", "two", "three", "four"):
            stack.worker(name)
        going = Execution.objects.filter(pk__in=load.ids).exclude(status__in=FINAL)
        wait_until(lambda: not going.exists(), within_s=400.0, what="The end of all")

    assert_sound(load)
    assert len(given_at) == len(came_at(load)) == 500
    for window_s in (0.5, 1.0, 3.0, 10.0):
        assert most_in(given_at, window_s - LATE_S) <= rate * window_s + burst
    acted = NodeExecution.objects.filter(execution_id__in=load.ids, node_key="each")
    assert set(acted.values_list("status", "attempt", "crashes")) == {("SUCCEEDED", 1, 0)}
    took_s, most = max(given_at) - min(given_at), [most_in(given_at, window_s) for window_s in (1.0, 10.0)]
    workers, away = acted.values("worker").distinct().count(), acted.filter(waits__gt=0).count()
    print(f"500 turns in {took_s:.1f} s, at most {most} in 1 and 10 s; {workers} workers, {away} were away meanwhile")
    # Nobody starves: the last had no longer to wait than it takes to let all others through, and what a busy machine takes.
    assert took_s <= (500 - burst) / rate * 1.5


def test_nobody_is_let_through_without_it(load: Load, counting: Counting):
    shape = make_one(AskInTurn, seconds=STAYS_S, also=UNAVAILABLE)
    load.begin(shape)
    load.wait()

    stopped = counting.stop()
    refused = load.begin(shape, 12)
    load.wait(ids=refused)
    resumed = counting.resume()
    load.begin(shape, 4)

    assert_sound(load)
    assert not [moment for moment in came_at(load) if stopped + ON_ITS_WAY_S < moment < resumed]
    assert len(came_at(load)) == 5
