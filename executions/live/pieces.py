"""What a model makes, piece by piece, on its way from the worker to those who watch: told by Redis, stored nowhere.

Nothing waits for it and nothing depends on it: while Redis is away, pieces are lost, and the reply comes with its node's end.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from pydantic_core import to_json
from redis import Redis, RedisError

from agentplatform.lib.masking import Mask, MaskedStream
from executions.engine.live import TOKENS

logger = logging.getLogger(__name__)

#: What comes within so long is sent together.
GATHER_S = 0.05
#: So many characters wait to be sent at most, of all replies of a process; what comes beyond is dropped.
MOST_WAITING = 100_000
#: One message holds so many.
LARGEST_PIECE = 4_000
#: While Redis is away it is asked again after so long.
PAUSE_S = 5.0
TIMEOUT_S = 1.0


class Show(Protocol):
    """Takes the text of one reply, piece by piece."""

    def __call__(self, text: str) -> None:
        """Show this piece to those who watch."""
        ...


def channel_of(execution_id: UUID | str) -> str:
    """Return the channel on which the pieces of an execution are told."""
    return f"agentplatform:pieces:{execution_id}"


@contextmanager
def shown(execution_id: UUID, place: dict[str, Any], mask: Mask) -> Iterator[Show]:
    """Yield what takes a reply piece by piece; no secret leaves in it, also not one of which each piece holds a part."""
    pieces = MaskedStream(mask)
    reply = Reply(channel_of(execution_id), place)

    def show(text: str) -> None:
        _ours().post(reply, pieces.add(text))

    try:
        yield show
    finally:
        _ours().post(reply, pieces.rest())


class Reply:
    """One reply under way: where it is told, and how much of it was."""

    def __init__(self, channel: str, place: dict[str, Any]) -> None:
        self.channel = channel
        self.place = place
        self.length = 0

    def message(self, offset: int, text: str) -> bytes:
        """Return a piece as it is told: whoever misses one sees it by the offset of the next."""
        return to_json({"type": TOKENS, **self.place, "offset": offset, "text": text})


class Publisher:
    """The thread of a process that sends pieces: a block never waits for Redis."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        #: By reply, what follows each other: where it begins, and its parts.
        self._waiting: dict[Reply, list[tuple[int, list[str]]]] = {}
        self._length = 0
        self._lock = threading.Lock()
        self._has_some = threading.Event()
        self._away_until = 0.0
        self._redis = Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        threading.Thread(target=self._send_for_ever, name="pieces", daemon=True).start()

    def post(self, reply: Reply, text: str) -> None:
        """Send this soon, or drop it where too much waits."""
        if not text:
            return
        offset, reply.length = reply.length, reply.length + len(text)
        if time.monotonic() < self._away_until:
            return
        with self._lock:
            if self._length + len(text) > MOST_WAITING:
                return
            self._length += len(text)
            runs = self._waiting.setdefault(reply, [])
            if not runs or runs[-1][0] + sum(map(len, runs[-1][1])) != offset:
                runs.append((offset, []))
            runs[-1][1].append(text)
        self._has_some.set()

    def _send_for_ever(self) -> None:
        while True:
            self._has_some.wait()
            self._has_some.clear()
            with self._lock:
                waiting, self._waiting, self._length = self._waiting, {}, 0
            messages = [(reply.channel, body) for reply, runs in waiting.items() for body in _messages(reply, runs)]
            try:
                self._send(messages)
            except RedisError as error:
                self._away_until = time.monotonic() + PAUSE_S
                logger.warning("What models make is not shown just now: %s", error)
            except Exception:
                # This thread must live on; what is lost comes with the end of the node.
                logger.exception("Pieces could not be shown")
            time.sleep(GATHER_S)

    def _send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        with self._redis.pipeline(transaction=False) as pipeline:
            for channel, body in messages:
                pipeline.publish(channel, body)
            pipeline.execute()


def _messages(reply: Reply, runs: Sequence[tuple[int, list[str]]]) -> Iterator[bytes]:
    for offset, texts in runs:
        text = "".join(texts)
        for start in range(0, len(text), LARGEST_PIECE):
            yield reply.message(offset + start, text[start : start + LARGEST_PIECE])


_lock = threading.Lock()
_current: list[Publisher] = []


def _ours() -> Publisher:
    """Return the publisher of this process: one that was forked off starts its own."""
    with _lock:
        if not _current or _current[0].pid != os.getpid():
            _current[:] = [Publisher()]
        return _current[0]
