"""Send what has just been accepted from a thread of its own: whoever starts executions waits for the commit, not for the broker.

What is accepted while a message is being published shares the next one. A crash loses nothing: the rows are the real outbox, and
reconcile sends what is still there.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterable
from queue import SimpleQueue
from uuid import UUID

from executions import launch
from executions.engine.compile import Canvas, Lane
from executions.messages import Work

Posted = tuple[UUID, Canvas]

AT_ONCE = 500
LAST_CALL_S = 5.0


class Outbox:
    """What one process still has to send."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._posted: SimpleQueue[Posted] = SimpleQueue()
        self._left = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._send_for_ever, name="outbox", daemon=True).start()
        atexit.register(self.flush, LAST_CALL_S)

    def post(self, posted: Iterable[Posted]) -> None:
        """Send these soon."""
        for one in posted:
            with self._changed:
                self._left += 1
            self._posted.put(one)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything was sent, at most so long. Return whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: self._left == 0, timeout_s)

    def _send_for_ever(self) -> None:
        while True:
            batch = [self._posted.get()]
            while len(batch) < AT_ONCE and not self._posted.empty():
                batch.append(self._posted.get())
            try:
                self._send(batch)
            finally:
                with self._changed:
                    self._left -= len(batch)
                    self._changed.notify_all()

    def _send(self, batch: list[Posted]) -> None:
        launch.send_lanes([Work(execution_id, canvas) for execution_id, canvas in batch if isinstance(canvas, Lane)])
        for execution_id, canvas in batch:
            if not isinstance(canvas, Lane):
                launch.send(execution_id, [canvas])


_lock = threading.Lock()
_current: list[Outbox] = []


def post(posted: Iterable[Posted]) -> None:
    """Send these soon, from this process: a process that was forked off starts an outbox of its own."""
    with _lock:
        if not _current or _current[0].pid != os.getpid():
            _current[:] = [Outbox()]
    _current[0].post(posted)
