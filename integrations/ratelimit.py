"""How much of the outside a block may ask at once: limits that all workers share.

class ForecastBlock(Block):
    rate_limiter = RateLimiter(max_concurrent=5, rate_per_second=2)

    async def execute(self, input_data):
        async with self.rate_limiter:
            ...
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol, Self
from uuid import uuid4

from integrations import turns
from integrations.turns import Limits, Place

#: Whoever has to wait for longer than this lets its worker go meanwhile.
LONGEST_WAIT_HERE_S = 30.0
#: So long a worker that is gone keeps its slots.
LEASE_S = 30.0
#: Whatever an answer asks for, nobody is held back for longer by it.
LONGEST_HOLD_BACK_S = 3600.0


class Line(Protocol):
    """What a firing knows that stands in line: who it is, and how to come back later."""

    def next_holder(self) -> str:
        """Return a name for its next turn: the same one when it is run again after a wait."""
        ...

    async def come_back(self, seconds: float, *, holder: str, time: int) -> None:
        """Let the worker go for so long; return at once if that is over already."""
        ...


#: The firing that runs here, if one does.
IN_LINE: ContextVar[Line | None] = ContextVar("IN_LINE", default=None)
#: The places that are held here, by the key of their limiter: a limiter is shared by all who use it.
_held: ContextVar[Mapping[str, tuple[Place, ...]]] = ContextVar("_held", default=MappingProxyType({}))


class RateLimiter:
    """Lets so many in at once, and so many a second, over all workers and machines; in the order in which they come.

    As an attribute of a block its key is that block. `of` has the same limits for each credential, account or whatever else.
    """

    def __init__(
        self,
        max_concurrent: int | None = 10,
        rate_per_second: float | None = 5,
        *,
        burst: int = 1,
        key: str = "",
        lease_s: float = LEASE_S,
    ) -> None:
        if max_concurrent is not None and max_concurrent < 1:
            raise ValueError("max_concurrent is at least 1, or None for no limit.")
        if rate_per_second is not None and not 0 < rate_per_second <= 1_000_000:
            raise ValueError("rate_per_second is above 0, or None for no limit.")
        if burst < 1 or lease_s <= 0:
            raise ValueError("burst is at least 1, and lease_s above 0.")
        self.key = key
        self.limits = Limits(max_concurrent, rate_per_second, burst, lease_s)

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = self.key or f"{owner.__module__}.{owner.__qualname__}.{name}"

    def __repr__(self) -> str:
        return f"RateLimiter({self.key!r}, {self.limits})"

    def of(self, *parts: object) -> Self:
        """Return a limiter of the same limits for one of several: `self.rate_limiter.of(credentials.id)`."""
        other = type(self)(key=":".join([self.key, *map(str, parts)]))
        other.limits = replace(self.limits)
        return other

    async def acquire(self, *, may_leave: bool = True) -> None:
        """Wait for a turn, without a thread and without a connection to the database.

        A long wait suspends the firing, which then begins anew; not where it may not leave, as it has done something already.

        Raises:
            RateLimiterUnavailable: the server that counts does not answer. Nothing is let through then.
        """
        if not self.key:
            raise ValueError("A limiter needs a key, or a block whose attribute it is.")
        if not turns.is_configured():
            return
        line = IN_LINE.get()
        place = Place(self.key, line.next_holder() if line else uuid4().hex, self.limits)
        await self._wait(place, line if may_leave else None)
        held = _held.get()
        _held.set({**held, self.key: (*held.get(self.key, ()), place)})

    def release(self) -> None:
        """Give the last turn back that was acquired here."""
        if place := self._pop():
            turns.table().leave_soon(place)

    async def hold_back(self, seconds: float) -> None:
        """Let nobody in for so long, an hour at most: whoever is asked wants to be left alone (`Retry-After`)."""
        if turns.is_configured() and seconds > 0:
            place = Place(self.key, "", self.limits)
            await turns.table().hold_back(place, min(seconds, LONGEST_HOLD_BACK_S))

    async def __aenter__(self) -> Self:
        await self.acquire()
        return self

    async def __aexit__(self, *error: object) -> None:
        if place := self._pop():
            await asyncio.shield(turns.table().leave(place))

    async def _wait(self, place: Place, line: Line | None) -> None:
        table = turns.table()
        times = 0
        try:
            while True:
                wait_s, has_left = await table.ask_or_leave(place, longest_s=LONGEST_WAIT_HERE_S if line else 0.0)
                if not wait_s:
                    return
                if line and has_left:
                    await line.come_back(wait_s, holder=place.holder, time=times)
                    times += 1
                else:
                    await asyncio.sleep(min(wait_s, turns.ASK_AGAIN_S))
        except (Exception, asyncio.CancelledError):
            # Not for a suspension: that keeps the place until it comes back.
            table.leave_soon(place)
            raise

    def _pop(self) -> Place | None:
        held = _held.get()
        if not (places := held.get(self.key)):
            if turns.is_configured():
                raise RuntimeError(f"{self!r} was not acquired here.")
            return None
        _held.set({**held, self.key: places[:-1]})
        return places[-1]
