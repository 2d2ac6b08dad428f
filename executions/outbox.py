"""Send what has just been accepted from a thread of its own: whoever starts executions waits for the commit, not for the broker.

What is accepted while a message is being published shares the next one, and a message lingers a little for what is just being accepted
beside it: a message costs more than the execution in it. A lone start is sent at once. A crash loses nothing: the rows are the real
outbox, and reconcile sends what is still there. What else may be done soon, and once for all who ask, is done here too.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, DatabaseError, close_old_connections, connection, connections

from executions import launch, messages
from executions.engine.compile import Canvas, Lane
from executions.messages import Work

logger = logging.getLogger(__name__)

Posted = tuple[UUID, Canvas]
Call = Callable[[], object]

AT_ONCE = 500
#: Starts that follow each other so closely are a flood, also one by one; somebody who waits for the end of each is slower.
FLOOD_S = 0.004
LINGER_S = 0.02
LAST_CALL_S = 5.0


class Outbox:
    """What one process still has to send."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._posted: SimpleQueue[tuple[float, Posted | Call]] = SimpleQueue()
        self._asked: set[Call] = set()
        self._left = 0
        #: The threads that are just accepting something.
        self._accepting: set[int] = set()
        self._changed = threading.Condition()
        threading.Thread(target=self._send_for_ever, name="outbox", daemon=True).start()
        atexit.register(self.flush, LAST_CALL_S)

    @contextmanager
    def accepting(self) -> Iterator[None]:
        """Let a message wait a little for what this thread is about to post."""
        thread = threading.get_ident()
        if thread in self._accepting:
            yield
            return
        self._accepting.add(thread)
        try:
            yield
        finally:
            self._accepting.discard(thread)

    def post(self, posted: Iterable[Posted]) -> None:
        """Send these soon."""
        self._accepting.discard(threading.get_ident())
        for one in posted:
            with self._changed:
                self._left += 1
            self._posted.put((time.monotonic(), one))

    def ask(self, call: Call) -> None:
        """Call this soon; whoever asks before it has begun asks for the same call."""
        self._accepting.discard(threading.get_ident())
        with self._changed:
            if call in self._asked:
                return
            self._asked.add(call)
            self._left += 1
        self._posted.put((time.monotonic(), call))

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything was sent, at most so long. Return whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: self._left == 0, timeout_s)

    def _send_for_ever(self) -> None:
        last_posted_at = 0.0
        while True:
            posted_at, first = self._posted.get()
            batch = [first]
            is_flood = posted_at - last_posted_at < FLOOD_S
            last_posted_at = posted_at
            while len(batch) < AT_ONCE and (more := self._more(posted_at, len(batch), is_flood=is_flood)):
                last_posted_at, another = more
                batch.append(another)
            self._do(self._send, [one for one in batch if isinstance(one, tuple)])
            for call in batch:
                if not isinstance(call, tuple):
                    with self._changed:
                        self._asked.discard(call)
                    self._do(call)
            if self._posted.empty():
                self._do(close_old_connections)
            with self._changed:
                self._left -= len(batch)
                self._changed.notify_all()

    def _do(self, call: Callable[..., object], *args: object) -> None:
        try:
            call(*args)
        except Exception:
            # This thread must live on: without it, all that is accepted would wait for reconcile, which sends what was not sent.
            logger.exception("Some executions could not be sent")
            _forget_connection()

    def _more(self, since: float, held: int, *, is_flood: bool) -> tuple[float, Posted | Call] | None:
        """Return another that can share the message, waiting for it if one is to be expected and the message is not full."""
        may_come = (is_flood or self._accepting) and held < messages.MAX_LANES
        patience = since + LINGER_S - time.monotonic() if may_come else 0.0
        try:
            return self._posted.get(timeout=patience) if patience > 0 else self._posted.get_nowait()
        except Empty:
            return None

    def _send(self, batch: list[Posted]) -> None:
        launch.send_lanes([Work(execution_id, canvas) for execution_id, canvas in batch if isinstance(canvas, Lane)])
        for execution_id, canvas in batch:
            if not isinstance(canvas, Lane):
                launch.send(execution_id, [canvas])


def _forget_connection() -> None:
    """Let this thread connect anew: after an error at the end of a transaction, Django may never open this connection again."""
    with suppress(DatabaseError):
        connection.close()
    del connections[DEFAULT_DB_ALIAS]


_lock = threading.Lock()
_current: list[Outbox] = []


@contextmanager
def accepting() -> Iterator[None]:
    """Let a message of this process wait a little for what this thread is about to post."""
    with _ours().accepting():
        yield


def post(posted: Iterable[Posted]) -> None:
    """Send these soon, from this process."""
    _ours().post(posted)


def ask(call: Call) -> None:
    """Call this soon, from this process, once for all who ask meanwhile."""
    _ours().ask(call)


def flush(timeout_s: float) -> bool:
    """Wait until this process has sent everything, at most so long. Return whether it has."""
    return _ours().flush(timeout_s) if _current else True


def _ours() -> Outbox:
    """Return the outbox of this process: one that was forked off starts its own."""
    with _lock:
        if not _current or _current[0].pid != os.getpid():
            _current[:] = [Outbox()]
        return _current[0]
