"""What one reader is given: a stream of server-sent events, or one answer to a long poll."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError

from access.passes import Pass
from agentplatform.lib.request_thread import let_go_of_thread
from executions.engine.live import TOKENS
from executions.errors import TooManyReaders
from executions.live import hub
from executions.live.hub import Hub, Kept
from executions.live.reading import AT_ONCE, Told

#: A browser whose stream breaks off comes again after so long.
RETRY_MS = 2_000
#: After so long a reader has to show again who it is: its stream ends, and it goes on with another.
LONGEST_S = 3_600.0
#: While the database is away, a page is asked for again after so long.
AWAY_S = 2.0

#: A place that was taken and from which nobody reads after so long is free again: whoever took it has gone.
TAKEN_S = 30.0

#: Until when each is kept for who has taken it; for ever once they read.
_places: dict[Place, float] = {}
_placing = threading.Lock()


class Place:
    """The right to be one of the readers of this process."""

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep it as long as this lasts."""
        with _placing:
            _places[self] = inf
        try:
            yield
        finally:
            with _placing:
                _places.pop(self, None)


def take_place() -> Place:
    """Return a place for one more reader.

    Raises:
        TooManyReaders: this process serves no further one.
    """
    moment, place = time.monotonic(), Place()
    with _placing:
        for gone in [one for one, until in _places.items() if until < moment]:
            del _places[gone]
        if len(_places) >= settings.AGENTPLATFORM_MAX_EVENT_READERS:
            raise TooManyReaders
        _places[place] = moment + TAKEN_S
    return place


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: what has let them in, and their place."""

    shown: Pass
    place: Place


async def server_sent(execution_id: UUID, after: int, reader: Reader) -> AsyncIterator[bytes]:
    """Yield the events that come after a number, and what models make meanwhile, until the execution has ended.

    Whose pass would let nobody in any more is told nothing further.
    """
    await let_go_of_thread()
    here = hub.ours()
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + LONGEST_S
    with reader.place.kept(), here.admitted(reader.shown) as admitted, here.watched(execution_id) as kept:
        number, pieces = after, kept.pieces_so_far
        yield f"retry: {RETRY_MS}\n\n".encode()
        while loop.time() < ends_at:
            told = await _after(here, kept, number)
            fresh, pieces = kept.pieces_after(pieces), kept.pieces_so_far
            if admitted.is_refused:
                return
            for one in told:
                with here.giving():
                    yield b"id: %d\nevent: %b\ndata: %b\n\n" % (one.number, one.kind.encode(), one.body)
                number = one.number
            if kept.is_over and number >= kept.last:
                return
            for piece in fresh:
                with here.giving():
                    yield b"event: %b\ndata: %b\n\n" % (TOKENS.encode(), piece)
            if not (told or fresh) and not await kept.changed(settings.AGENTPLATFORM_EVENTS_HEARTBEAT_S):
                with here.giving():
                    yield b": still here\n\n"


async def long_poll(execution_id: UUID, after: int, reader: Reader, *, wait_s: float) -> AsyncIterator[bytes]:
    """Yield, as one JSON text, the events that come after a number; where there are none yet, after they came or `wait_s` have passed.

    Whose pass would let nobody in any more is told none of them.
    """
    await let_go_of_thread()
    here = hub.ours()
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + wait_s
    with reader.place.kept(), here.admitted(reader.shown) as admitted, here.watched(execution_id) as kept:
        while kept.last < 0:
            await kept.changed(LONGEST_S)
        while (
            not (told := await _after(here, kept, after))
            and not (kept.is_over or admitted.is_refused)
            and (left_s := ends_at - loop.time()) > 0
        ):
            await kept.changed(left_s)
        events = [] if admitted.is_refused else told[:AT_ONCE]
        last_id = events[-1].number if events else after
        is_over = not admitted.is_refused and kept.is_over and last_id >= kept.last
        yield b'{"events":[%b],"last_id":%d,"is_over":%b}' % (
            b",".join(one.body for one in events),
            last_id,
            b"true" if is_over else b"false",
        )


async def _after(here: Hub, kept: Kept, number: int) -> list[Told]:
    """Return the next events after a number that are known; the next page of them where they are not kept any more."""
    told = kept.after(number)
    while told is None:
        try:
            told = await here.page(kept.execution_id, number)
        except (OperationalError, InterfaceError):
            await asyncio.sleep(AWAY_S)
    return told
