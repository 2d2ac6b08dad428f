"""Slots and turns, kept in Redis for all workers: one script for each step, and a lease for whoever holds a slot.

A process that is gone frees its slots when their lease is over. A server that has forgotten everything is told of held slots again with
their next renewal; of the turns that it gave it then knows none, so once in such a case a burst may come early.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from agentplatform.lib.cancelling import end_if_cancelled
from integrations.errors import RateLimiterUnavailable

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.commands.core import AsyncScript

SCRIPTS = {
    path.stem: path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent / "lua").glob("*.lua"))
}
#: Who stands in line asks at least so often, and loses its place if it has not asked for so long.
ASK_AGAIN_S, PATIENCE_S = 5.0, 15.0
#: Who went away until its turn may come so much later.
PATIENCE_AWAY_S = 60.0
#: So many leases are renewed in the time of one.
RENEWALS = 3
#: How long the server may be away, try by try, before nobody waits for it any longer.
PAUSES_S = (0.1, 0.5, 2.0, 5.0)
TIMEOUT_S = 5.0
#: Of one event loop.
CONNECTIONS = 8

#: What the server keeps of a limiter, in the order in which the scripts take it.
PARTS = ("slots", "line", "kept", "numbers", "turns", "away", "began")

_url = ""
_tables: WeakKeyDictionary[asyncio.AbstractEventLoop, Table] = WeakKeyDictionary()
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a limiter allows. None is no limit."""

    max_concurrent: int | None
    rate_per_second: float | None
    #: So many may come at once after a pause.
    burst: int
    lease_s: float


@dataclass(frozen=True, slots=True)
class Place:
    """One who asks, at one limiter."""

    key: str
    holder: str
    limits: Limits = field(compare=False)

    def keys(self) -> list[str]:
        """Return the keys of the server, all in one slot of a cluster."""
        return [f"limit:{{{self.key}}}:{part}" for part in PARTS]


def configure(*, redis_url: str) -> None:
    """Say where slots and turns are kept. Without it nothing is limited, as in a block's own test."""
    global _url
    _url = redis_url


def is_configured() -> bool:
    """Say whether anything is limited here."""
    return bool(_url)


def table() -> Table:
    """Return what the running loop keeps."""
    loop = asyncio.get_running_loop()
    with _lock:
        if loop not in _tables:
            _tables[loop] = Table(_url)
        return _tables[loop]


class Table:
    """The slots that one event loop holds, and its connection to the server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis: Redis | None = None
        self._scripts: dict[str, AsyncScript] = {}
        # In order, which a pool of connections that is exhausted is not.
        self._connections = asyncio.Semaphore(CONNECTIONS)
        self._held: set[Place] = set()
        self._renewing: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    async def ask(self, place: Place) -> float:
        """Ask for a turn. Return 0 if it is there, else after how many seconds to ask again.

        Raises:
            RateLimiterUnavailable: the server does not answer.
        """
        return (await self.ask_or_leave(place, longest_s=0.0))[0]

    async def ask_or_leave(self, place: Place, *, longest_s: float) -> tuple[float, bool]:
        """Ask for a turn; who would have to wait for longer than so many seconds leaves, and keeps its place.

        Return 0 if the turn is there, else after how many seconds to ask again; and whether it has left until then.

        Raises:
            RateLimiterUnavailable: the server does not answer.
        """
        limits = place.limits
        interval = 1_000_000 / limits.rate_per_second if limits.rate_per_second else 0
        granted, wait_ms, has_left = await self._patiently(
            "turn",
            place.keys(),
            [
                place.holder,
                limits.max_concurrent or 0,
                round(interval),
                limits.burst,
                *(round(seconds * 1000) for seconds in (limits.lease_s, PATIENCE_S, PATIENCE_AWAY_S, longest_s)),
            ],
        )
        if not granted:
            return float(wait_ms) / 1000, bool(has_left)
        if limits.max_concurrent:
            self._held.add(place)
            if self._renewing is None or self._renewing.done():
                self._renewing = asyncio.create_task(self._renew())
        return 0.0, False

    async def leave(self, place: Place) -> None:
        """Give the slot of a place back, or its place in line up."""
        from redis.exceptions import RedisError

        self._held.discard(place)
        try:
            await self._run("leave", place.keys(), [place.holder])
        except (RedisError, OSError, TimeoutError):
            # Nothing is lost: its lease is over soon, and nobody renews it.
            return

    async def hold_back(self, place: Place, seconds: float) -> None:
        """Let nobody in for so long."""
        from redis.exceptions import RedisError

        limits = place.limits
        interval = round(1_000_000 / limits.rate_per_second) if limits.rate_per_second else 0
        try:
            await self._run("hold", [place.keys()[4]], [round(seconds * 1000), interval, limits.burst])
        except (RedisError, OSError, TimeoutError):
            # Whoever comes next is told to wait as well, and tries this again.
            return

    def leave_soon(self, place: Place) -> None:
        """Do the same without waiting for it."""
        self._held.discard(place)
        self._soon(self.leave(place))

    def _soon(self, leaving: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(leaving)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _renew(self) -> None:
        from redis.exceptions import RedisError

        while self._held:
            await asyncio.sleep(min(place.limits.lease_s for place in self._held) / RENEWALS)
            held: dict[tuple[str, float], list[str]] = defaultdict(list)
            for place in self._held:
                held[place.keys()[0], place.limits.lease_s].append(place.holder)
            for (key, lease_s), holders in held.items():
                try:
                    await self._run("renew", [key], [round(lease_s * 1000), *holders])
                except (RedisError, OSError, TimeoutError):
                    # The next round tries again; whatever cuts this worker off cuts off those it would have to share with.
                    continue

    async def _patiently(self, script: str, keys: Sequence[str], values: Sequence[Any]) -> Any:
        from redis.exceptions import RedisError

        for pause_s in (*PAUSES_S, None):
            try:
                return await self._run(script, keys, values)
            except (RedisError, OSError, TimeoutError) as error:
                end_if_cancelled()
                if pause_s is None:
                    raise RateLimiterUnavailable from error
                await asyncio.sleep(pause_s)
        raise AssertionError("The last try returns or raises.")

    async def _run(self, script: str, keys: Sequence[str], values: Sequence[Any]) -> Any:
        if self._redis is None:
            from redis.asyncio import Redis

            self._redis = Redis.from_url(self._url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
            # Sent as a whole only to a server that does not know them yet.
            self._scripts = {name: self._redis.register_script(text) for name, text in SCRIPTS.items()}
        async with self._connections:
            answer = await self._scripts[script](keys=keys, args=values)
        end_if_cancelled()
        return answer
