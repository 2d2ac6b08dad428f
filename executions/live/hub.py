"""What all who watch executions in one process share: one look at the database for all of them, one connection to Redis.

A reader has no queue of its own. It knows up to where it has read, takes what comes after that from what its execution keeps of the last
events, and from the database where it has fallen behind further: so a slow one costs no more than a fast one, and slows nobody down.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from access.passes import Pass, still_good
from agentplatform.lib.cancelling import end_if_cancelled
from executions.live import reading
from executions.live.pieces import channel_of
from executions.live.reading import AT_ONCE, Told

logger = logging.getLogger(__name__)

#: An execution of which something has just happened is looked at after the first pause, one that stands still after the last.
SHORTEST_PAUSE_S, LONGEST_PAUSE_S, GROWTH = 0.1, 1.0, 1.3
#: Looking takes at most this part of the time, however much there is to look at.
LARGEST_SHARE = 0.1
#: While the database or Redis is away, it is asked again after so long.
AWAY_S = 2.0
#: So much of the last of each execution is kept, of events and of pieces each.
KEPT_BYTES = 128 * 1024
#: A page of earlier events has at most so much, and at least one event.
PAGE_BYTES = 64 * 1024
#: What let readers in is asked again so often whether it still would.
ADMITTED_S = 3.0
#: A reader that takes nothing for so long is left: it may come again, and go on where it was.
STALLED_S = 60.0
#: So often is looked whether something else is to be listened to.
LISTEN_S = 0.1


class Kept:
    """The last events of one execution that is watched, and of the pieces of what its models make."""

    def __init__(self, execution_id: UUID) -> None:
        self.execution_id = execution_id
        self.readers = 0
        #: The number of the last event that is known; -1 before the first look.
        self.last = -1
        self.is_over = False
        self._told: deque[Told] = deque()
        self._told_bytes = 0
        self._pieces: deque[bytes] = deque()
        self._piece_bytes = 0
        #: So many pieces came before those that are kept.
        self._pieces_before = 0
        self._changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: By the event loop's clock.
        self.due_at = 0.0
        self.pause_s = SHORTEST_PAUSE_S

    @property
    def pieces_so_far(self) -> int:
        """Return how many pieces have come since it is watched."""
        return self._pieces_before + len(self._pieces)

    def add(self, told: Sequence[Told]) -> None:
        """Keep events that follow the last one, and let go of the first ones."""
        first_look, self.last = self.last < 0, max(self.last, 0)
        for one in told:
            if one.number <= self.last:
                continue
            self.last, self.is_over = one.number, one.is_last
            self._told.append(one)
            self._told_bytes += len(one.body)
        while self._told_bytes > KEPT_BYTES and len(self._told) > 1:
            self._told_bytes -= len(self._told.popleft().body)
        if told or first_look:
            self.pause_s = SHORTEST_PAUSE_S
            self.wake()

    def add_piece(self, piece: bytes) -> None:
        """Keep a piece, and let go of the first ones."""
        self._pieces.append(piece)
        self._piece_bytes += len(piece)
        while self._piece_bytes > KEPT_BYTES:
            self._piece_bytes -= len(self._pieces.popleft())
            self._pieces_before += 1
        self.wake()

    def after(self, number: int) -> list[Told] | None:
        """Return the events that come after a number, as far as they are known; None if the first of them is not kept any more."""
        if number >= self.last:
            return []
        if not self._told or self._told[0].number > number + 1:
            return None
        return [one for one in self._told if one.number > number]

    def pieces_after(self, count: int) -> list[bytes]:
        """Return the pieces that came after so many others; those that are not kept any more are lost."""
        skipped = max(count - self._pieces_before, 0)
        return list(self._pieces)[skipped:] if skipped < len(self._pieces) else []

    def wake(self) -> None:
        """Let those who wait look again."""
        self._changed.set_result(None)
        self._changed = asyncio.get_running_loop().create_future()

    async def changed(self, within_s: float) -> bool:
        """Wait until something has come, at most so long. Return whether it has."""
        done, _ = await asyncio.wait([self._changed], timeout=within_s)
        return bool(done)


class Admitted:
    """What let readers in, and whether it still would."""

    def __init__(self) -> None:
        self.readers = 0
        self.is_refused = False


class Hub:
    """Looks at what is watched in this process, as long as anything is."""

    def __init__(self) -> None:
        self._kept: dict[UUID, Kept] = {}
        self._has_more = asyncio.Event()
        # A thread for each, so that who reads from the beginning does not delay what is new; with a connection while somebody watches.
        self._looker = ThreadPoolExecutor(1, thread_name_prefix="live-look")
        self._pager = ThreadPoolExecutor(1, thread_name_prefix="live-page")
        self._looking: asyncio.Task[None] | None = None
        self._admitted: dict[Pass, Admitted] = {}
        self._asked_again_at = 0.0
        #: What is handed to a reader that does not take it, and since when.
        self._giving: dict[asyncio.Task[Any], float] = {}

    @contextmanager
    def watched(self, execution_id: UUID) -> Iterator[Kept]:
        """Yield what is kept of an execution; it is looked at until everybody who watches it has left."""
        kept = self._kept.setdefault(execution_id, Kept(execution_id))
        kept.readers += 1
        self._has_more.set()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look_while_watched())
        try:
            yield kept
        finally:
            kept.readers -= 1
            if not kept.readers:
                del self._kept[execution_id]
                self._has_more.set()

    @contextmanager
    def admitted(self, shown: Pass) -> Iterator[Admitted]:
        """Yield whether what let a reader in still would: that is asked again every few seconds as long as they stay."""
        admitted = self._admitted.setdefault(shown, Admitted())
        admitted.readers += 1
        try:
            yield admitted
        finally:
            admitted.readers -= 1
            if not admitted.readers and self._admitted.get(shown) is admitted:
                del self._admitted[shown]

    @contextmanager
    def giving(self) -> Iterator[None]:
        """Hand something to a reader, whose task is cancelled if it does not take it for long."""
        task = asyncio.current_task()
        assert task is not None
        self._giving[task] = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            del self._giving[task]

    async def page(self, execution_id: UUID, after: int) -> list[Told]:
        """Return the events that come after a number, from the database, as many as make a page.

        Raises:
            OperationalError, InterfaceError: the database is away.
        """
        told = await asyncio.get_running_loop().run_in_executor(self._pager, _read, execution_id, after)
        size, page = 0, list[Told]()
        for one in told:
            size += len(one.body)
            if page and size > PAGE_BYTES:
                break
            page.append(one)
        return page

    async def _look_while_watched(self) -> None:
        loop = asyncio.get_running_loop()
        # Somebody may come while the connections are closed; who comes after the last look at it starts this anew.
        while self._kept:
            listening = loop.create_task(self._listen_for_ever())
            try:
                while self._kept:
                    await self._look_and_pause()
            finally:
                listening.cancel()
                # Two of them would tell each piece twice.
                await asyncio.wait([listening])
                for thread in (self._looker, self._pager):
                    await loop.run_in_executor(thread, _close_own)

    async def _look_and_pause(self) -> None:
        try:
            pause_s = await self._look()
            await self._ask_again()
        except (OperationalError, InterfaceError) as error:
            logger.warning("Live events wait for the database: %s", error)
            pause_s = AWAY_S
        except Exception:
            # Who watches must not wait for ever.
            logger.exception("Live events could not be read")
            pause_s = AWAY_S
        self._leave_behind(asyncio.get_running_loop().time() - STALLED_S)
        self._has_more.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._has_more.wait(), pause_s)

    async def _look(self) -> float:
        """Look at what is due. Return for how long nothing else is."""
        loop = asyncio.get_running_loop()
        going = [one for one in self._kept.values() if not one.is_over]
        due = {one.execution_id: one.last for one in going if one.due_at <= loop.time()}
        began = loop.time()
        found = await loop.run_in_executor(self._looker, _look, due) if due else {}
        took_s = loop.time() - began
        for execution_id in due:
            if kept := self._kept.get(execution_id):
                told = found.get(execution_id, [])
                kept.pause_s = min(kept.pause_s * GROWTH, LONGEST_PAUSE_S)
                kept.add(told)
                kept.due_at = 0.0 if len(told) == AT_ONCE else loop.time() + kept.pause_s
        waits = [one.due_at - loop.time() for one in self._kept.values() if not one.is_over]
        return max(min(waits, default=LONGEST_PAUSE_S), took_s / LARGEST_SHARE)

    async def _ask_again(self) -> None:
        """Find those whom nothing would let in any more, all in one look, and wake them."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._asked_again_at + ADMITTED_S:
            return
        self._asked_again_at = loop.time()
        passes = list(self._admitted)
        good = await loop.run_in_executor(self._looker, _still_good, passes)
        refused = [self._admitted.pop(one) for one in passes if one not in good and one in self._admitted]
        for one in refused:
            one.is_refused = True
        for kept in self._kept.values() if refused else ():
            kept.wake()

    def _leave_behind(self, since: float) -> None:
        """Give up on readers that have taken nothing since then."""
        for task in [task for task, given_at in self._giving.items() if given_at < since]:
            logger.info("Left a reader of live events behind that takes nothing")
            task.cancel()

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                async with (
                    Redis.from_url(settings.REDIS_URL, socket_connect_timeout=AWAY_S) as redis,
                    redis.pubsub(ignore_subscribe_messages=True) as told,
                ):
                    await self._listen(told)
            except (RedisError, OSError) as error:
                logger.warning("What models make is not shown just now: %s", error)
            except Exception:
                logger.exception("What models make could not be shown")
            end_if_cancelled()
            await asyncio.sleep(AWAY_S)

    async def _listen(self, told: PubSub) -> None:
        # Of one channel nothing ever comes: it keeps the connection while nothing else is listened to.
        heard = {channel_of("")}
        await told.subscribe(*heard)
        while True:
            wanted = {channel_of(one.execution_id) for one in self._kept.values() if not one.is_over} | {channel_of("")}
            if fresh := wanted - heard:
                await told.subscribe(*fresh)
            if stale := heard - wanted:
                await told.unsubscribe(*stale)
            heard = wanted
            message = await told.get_message(timeout=LISTEN_S)
            end_if_cancelled()
            if message and message["type"] == "message":
                execution_id = UUID(message["channel"].decode().rpartition(":")[2])
                if kept := self._kept.get(execution_id):
                    kept.add_piece(message["data"])


def _look(due: Mapping[UUID, int]) -> dict[UUID, list[Told]]:
    with _own_connection():
        return reading.look(due)


def _read(execution_id: UUID, after: int) -> list[Told]:
    with _own_connection():
        return reading.read({execution_id: after}).get(execution_id, [])


def _still_good(passes: Collection[Pass]) -> set[Pass]:
    with _own_connection():
        return still_good(passes)


def _close_own() -> None:
    # Looked up here: it is another connection in each thread.
    connection.close()


@contextmanager
def _own_connection() -> Iterator[None]:
    """Keep the connection of this thread, unless something is wrong with it."""
    try:
        yield
    except BaseException:
        _close_own()
        raise


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def ours() -> Hub:
    """Return the hub of this event loop."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())
