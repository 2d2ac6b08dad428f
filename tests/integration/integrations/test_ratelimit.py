"""Limits hold over all who share them, for slots and for turns, whoever is killed and whatever the server forgets."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentplatform.local.paths import ROOT
from agentplatform.local.supervisor import kill_group
from integrations import ratelimit, turns
from integrations.errors import RateLimiterUnavailable
from integrations.ratelimit import IN_LINE, RateLimiter
from integrations.turns import Limits, Place
from tests.scale import many
from tests.servers import wait_until
from tests.turns import most_in, watched

_names = count(1)
#: The server notes a command some time after the script that gives it has read the clock: on a busy machine so much later.
LATE_S = 0.05
#: A test that waits longer than this waits for ever.
LONGEST_S = 60


@pytest.fixture(autouse=True)
def server(redis_url: str) -> Iterator[redis.Redis]:
    """Use the tests' own Valkey, and nothing of what tests before have left there."""
    turns.configure(redis_url=redis_url)
    with redis.Redis.from_url(redis_url) as server:
        server.flushdb()
        yield server


def limiter(max_concurrent: int | None = None, rate: float | None = None, **more: Any) -> RateLimiter:
    return RateLimiter(max_concurrent, rate, key=f"test-{next(_names)}", **more)


def holders(server: redis.Redis, limiter: RateLimiter) -> int:
    return int(server.zcard(f"limit:{{{limiter.key}}}:slots"))  # type: ignore[arg-type]


class Herd:
    """A process of waiters, and what it has printed."""

    def __init__(self, redis_url: str, limiter: RateLimiter, count: int, *, stays_s: float = 0.0) -> None:
        limits = limiter.limits
        asked = {
            "key": limiter.key,
            "max_concurrent": limits.max_concurrent,
            "rate_per_second": limits.rate_per_second,
            "burst": limits.burst,
            "lease_s": limits.lease_s,
            "count": count,
            "stays_s": stays_s,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.integrations.herd", redis_url, json.dumps(asked)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())

    @property
    def inside(self) -> int:
        return sum(line.startswith("in") for line in self.lines)

    def kill9(self) -> None:
        kill_group(self.process.pid)
        self.process.wait()

    def wait(self, within_s: float = LONGEST_S) -> int:
        code = self.process.wait(within_s)
        self._reader.join(5)
        return code


@contextmanager
def herds(*all_of_them: Herd) -> Iterator[tuple[Herd, ...]]:
    yield all_of_them
    for herd in all_of_them:
        if herd.process.poll() is None:
            herd.kill9()


class TestSlots:
    async def test_are_as_many_as_it_says(self):
        shared, inside, most = limiter(3), 0, 0

        async def come() -> None:
            nonlocal inside, most
            async with shared:
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.01)
                inside -= 1

        await asyncio.gather(*[come() for _ in range(20)])

        assert (most, inside) == (3, 0)

    async def test_are_given_back_by_release_as_the_seed_has_it(self, server):
        one = limiter(1)

        await one.acquire()
        held = holders(server, one)
        one.release()
        await one.acquire()
        one.release()

        assert held == 1
        await until(lambda: holders(server, one) == 0)

    async def test_are_given_back_when_what_is_inside_fails(self, server):
        one = limiter(1)

        with pytest.raises(ZeroDivisionError):
            async with one:
                raise ZeroDivisionError

        assert holders(server, one) == 0

    async def test_are_not_taken_by_who_stopped_waiting(self, server):
        one = limiter(1)
        async with one:
            waiting = asyncio.create_task(one.acquire())
            await until(lambda: server.zcard(f"limit:{{{one.key}}}:line") == 1)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

        await until(lambda: server.zcard(f"limit:{{{one.key}}}:line") == 0)
        async with asyncio.timeout(5), one:
            assert holders(server, one) == 1

    async def test_are_each_limiters_own(self):
        shared = limiter(1)

        async with shared.of("a"), shared.of("b"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3), shared.of("a"):
                    raise AssertionError("A slot was given twice.")

    async def test_are_not_waited_for_any_longer_by_who_was_told_to_stop(self):
        one = limiter(1)

        async with one:
            for pause_s in [0.0005 * step for step in range(1, 60)]:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(5), asyncio.timeout(pause_s):
                        await one.of().acquire()

    async def test_stay_held_for_longer_than_a_lease(self, server):
        one = limiter(1, lease_s=0.6)

        async with one:
            await asyncio.sleep(1.5)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3), one.of():
                    raise AssertionError("A slot was given twice.")

    async def test_are_known_again_to_a_server_that_has_forgotten_all(self, server):
        one = limiter(1, lease_s=0.6)

        async with one:
            server.flushdb()
            await until(lambda: holders(server, one) == 1)

    def test_of_a_killed_process_come_back(self, server, redis_url):
        shared = limiter(2, lease_s=2.0)
        with herds(Herd(redis_url, shared, 2, stays_s=600)) as (dead,):
            wait_until(lambda: dead.inside == 2)
            dead.kill9()

            with herds(Herd(redis_url, shared, 4)) as (other,):
                assert other.wait() == 0

        assert other.inside == 4


class TestTurns:
    async def test_come_in_the_order_in_which_they_were_asked_for(self, server):
        one, order = limiter(1, 1000), []

        async def come(number: int) -> None:
            async with one:
                order.append(number)

        async with asyncio.TaskGroup() as group, one:
            for number in range(20):
                group.create_task(come(number))
                await until(lambda stand=number + 1: server.zcard(f"limit:{{{one.key}}}:line") == stand)

        assert order == list(range(20))

    async def test_come_one_by_one_without_a_burst(self, redis_url):
        shared = limiter(None, 20)

        with watched(redis_url) as given_at:
            await asyncio.gather(*[_pass(shared) for _ in range(11)])
            await until(lambda: len(given_at) == 11)

        assert max(given_at) - min(given_at) >= 10 / 20 - 0.001
        assert most_in(given_at, 0.1) <= 20 * 0.1 + 1

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        rate=st.integers(20, 400),
        burst=st.integers(1, 5),
        pauses=st.lists(st.sampled_from([0, 0, 0, 1, 5, 20, 60]), min_size=2, max_size=25),
    )
    def test_are_never_more_than_the_limit_and_a_burst_in_any_window(self, redis_url, rate, burst, pauses):
        shared = limiter(None, rate, burst=burst)

        async def come_and_go() -> None:
            async with asyncio.TaskGroup() as group:
                for pause_ms in pauses:
                    group.create_task(_pass(shared))
                    await asyncio.sleep(pause_ms / 1000)

        with watched(redis_url) as given_at:
            asyncio.run(come_and_go())
            wait_until(lambda: len(given_at) == len(pauses))

        for window_s in (0.1, 0.3, 1.0):
            assert most_in(given_at, window_s - LATE_S) <= rate * window_s + burst

    @pytest.mark.slow
    def test_are_shared_by_five_hundred_in_four_processes(self, redis_url):
        waiters, rate, burst = many(500), 100, 5
        shared = limiter(50, rate, burst=burst)

        with watched(redis_url) as given_at, herds(*[Herd(redis_url, shared, waiters // 4) for _ in range(4)]) as four:
            codes = [herd.wait(waiters / rate + LONGEST_S) for herd in four]
            wait_until(lambda: len(given_at) == waiters // 4 * 4)

        assert codes == [0, 0, 0, 0]
        assert [herd.inside for herd in four] == [waiters // 4] * 4
        for window_s in (0.1, 1.0, 3.0):
            assert most_in(given_at, window_s - LATE_S) <= rate * window_s + burst


class TestALongWait:
    async def test_lets_the_worker_go_and_keeps_the_place(self):
        shared, line = limiter(None, 0.01), FakeLine()
        IN_LINE.set(line)
        await shared.acquire()

        with pytest.raises(Suspended):
            await shared.acquire()
        rival = Place(shared.key, "rival", shared.limits)
        rivals_wait_s = await turns.table().ask(rival)

        assert 95 <= line.told[0] <= 100
        assert rivals_wait_s > 150  # behind the one that has gone

    async def test_is_over_when_it_has_been_waited_for(self):
        shared, line = limiter(None, 0.02), FakeLine()
        IN_LINE.set(line)
        await shared.acquire()
        with pytest.raises(Suspended):
            await shared.acquire()
        let_pass(shared)
        again = FakeLine(answered=1)
        IN_LINE.set(again)
        again.turns = 1  # it comes to its second limiter as before

        await shared.acquire()

        assert again.told == []


class TestALongWaitForASlot:
    LONGEST_S = 0.05

    async def stand(self, shared: RateLimiter, *names: str) -> list[Place]:
        """Take the one slot, and let these stand in line behind it, in this order."""
        places = [Place(shared.key, name, shared.limits) for name in ("holder", *names)]
        for place in places:
            await turns.table().ask(place)
        return places

    async def ask(self, place: Place) -> tuple[float, bool]:
        return await turns.table().ask_or_leave(place, longest_s=self.LONGEST_S)

    async def test_lets_those_far_behind_go_and_keeps_those_who_are_next(self):
        _, first, second = await self.stand(limiter(1), "first", "second")

        at_once = [await self.ask(place) for place in (first, second)]
        await asyncio.sleep(self.LONGEST_S * 1.2)
        later = [await self.ask(place) for place in (first, second)]

        assert [has_left for _, has_left in at_once] == [False, False]
        assert [has_left for _, has_left in later] == [False, True]
        assert self.LONGEST_S < later[1][0] <= self.LONGEST_S * 10

    async def test_lets_nobody_go_who_may_not(self):
        _, _, second = await self.stand(limiter(1), "first", "second")
        await asyncio.sleep(self.LONGEST_S * 1.2)

        assert await turns.table().ask(second) > 0
        assert (await turns.table().ask_or_leave(second, longest_s=0.0))[1] is False

    async def test_does_not_let_go_who_will_soon_have_its_turn(self):
        shared = limiter(1)
        holder, *others = await self.stand(shared, *"abcd")
        await turns.table().leave(holder)
        for place in others[:2]:
            assert await turns.table().ask(place) == 0
            await turns.table().leave(place)
        await turns.table().ask(others[2])
        await asyncio.sleep(self.LONGEST_S * 1.2)

        # Two were given in that time, so that the one in front of it will be gone in half of it.
        assert (await self.ask(others[3]))[1] is False

    async def test_ends_at_the_old_place(self):
        shared = limiter(1)
        holder, first, second, third = await self.stand(shared, "first", "second", "third")
        await asyncio.sleep(self.LONGEST_S * 1.2)
        _, has_left = await self.ask(second)
        await turns.table().leave(holder)
        assert await turns.table().ask(first) == 0

        back_s = await turns.table().ask(second)
        await turns.table().leave(first)
        thirds_s, seconds_s = await turns.table().ask(third), await turns.table().ask(second)

        assert has_left
        assert back_s > 0
        assert (thirds_s > 0, seconds_s) == (True, 0)

    async def test_leaves_no_slot_unused_meanwhile(self):
        shared = limiter(1)
        holder, first, second = await self.stand(shared, "first", "second")
        await asyncio.sleep(self.LONGEST_S * 1.2)
        _, has_left = await self.ask(second)
        for gone in (holder, first):
            await turns.table().leave(gone)

        assert has_left
        assert await turns.table().ask(Place(shared.key, "late", shared.limits)) == 0

    async def test_is_forgotten_of_who_never_comes_back(self, server, monkeypatch):
        monkeypatch.setattr(turns, "PATIENCE_AWAY_S", 0.1)
        shared = limiter(1)
        _, _, second = await self.stand(shared, "first", "second")
        await asyncio.sleep(self.LONGEST_S * 1.2)
        wait_s, has_left = await self.ask(second)

        await asyncio.sleep(wait_s + 0.15)
        await turns.table().ask(Place(shared.key, "other", shared.limits))

        assert has_left
        assert server.zcard(f"limit:{{{shared.key}}}:away") == 0
        assert not server.hexists(f"limit:{{{shared.key}}}:began", "second")

    async def test_passes_nobody_for_ever_in_a_crowd(self, server, monkeypatch):
        monkeypatch.setattr(ratelimit, "LONGEST_WAIT_HERE_S", 0.2)
        shared, inside, most, order, left = limiter(2), 0, 0, [], Counter()

        async def come(number: int) -> None:
            nonlocal inside, most
            IN_LINE.set(Sleeper(number, left))
            async with shared:
                order.append(number)
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.05)
                inside -= 1

        async with asyncio.TaskGroup() as group:
            for number in range(60):
                group.create_task(come(number))
                await until(lambda stand=number + 1: int(server.get(f"limit:{{{shared.key}}}:numbers") or 0) == stand)

        assert (most, sorted(order)) == (2, list(range(60)))
        assert left, "Nobody has left."
        assert server.hkeys(f"limit:{{{shared.key}}}:began") == [b""]


class Sleeper:
    """A firing that is suspended for a while, and then begins anew at its old place."""

    def __init__(self, number: int, left: Counter[int]) -> None:
        self.number, self.left = number, left

    def next_holder(self) -> str:
        return f"firing-{self.number}/1/1"

    async def come_back(self, seconds: float, *, holder: str, time: int) -> None:
        self.left[self.number] += 1
        await asyncio.sleep(seconds)


class TestAServerThatIsAway:
    async def test_lets_nobody_through(self, monkeypatch):
        turns.configure(redis_url="redis://127.0.0.1:1/0")
        monkeypatch.setattr(turns, "PAUSES_S", (0.01, 0.01))

        with pytest.raises(RateLimiterUnavailable):
            await turns.Table("redis://127.0.0.1:1/0").ask(Place("x", "y", Limits(1, None, 1, 1.0)))


class Suspended(BaseException):
    """What a firing raises that lets its worker go."""


class FakeLine:
    """A firing that waits in line; it has come back already for the first `answered` times."""

    def __init__(self, answered: int = 0) -> None:
        self.turns, self.answered = 0, answered
        self.told: list[float] = []

    def next_holder(self) -> str:
        self.turns += 1
        return f"firing/1/{self.turns}"

    async def come_back(self, seconds: float, *, holder: str, time: int) -> None:
        if time >= self.answered:
            self.told.append(seconds)
            raise Suspended


def let_pass(limiter: RateLimiter) -> None:
    """Let the next turn be due."""
    with redis.Redis.from_url(turns._url) as server:
        server.delete(f"limit:{{{limiter.key}}}:turns")


async def _pass(limiter: RateLimiter) -> None:
    async with limiter:
        pass


async def until(is_true: Any) -> None:
    async with asyncio.timeout(LONGEST_S):
        while not is_true():
            await asyncio.sleep(0.01)
