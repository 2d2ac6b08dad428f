"""The firings of one lane on the event loop of the process: begun, interrupted, and left behind if need be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from executions import attempts
from executions.batch import Ended
from executions.begun import Begun, Stop

logger = logging.getLogger(__name__)


class OnLoop:
    """Runs firings on the event loop, and reports once for each how it ended; with None where that is not for this worker to say."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: dict[asyncio.Task[Ended], Begun],
        stop: Stop,
        report: Callable[[Ended | None], None],
    ) -> None:
        self.loop = loop
        #: All that run on this loop, whoever's: also those that were left behind.
        self.tasks = tasks
        self.stop = stop
        self.report = report
        #: Not reported yet. Whoever takes one out reports it: the loop, or the watch that leaves it behind.
        self._open: dict[int, Begun] = {}
        self._mine: set[asyncio.Task[Ended]] = set()

    def begin(self, begun: Sequence[Begun]) -> None:
        """Let the event loop run these firings. Called on the lane's thread."""
        if begun:
            self._open.update((id(one), one) for one in begun)
            self.loop.call_soon_threadsafe(self._start, begun)

    def interrupt(self) -> None:
        """Cancel what runs. Called on any thread."""
        self.loop.call_soon_threadsafe(self._cancel)

    def under_way(self) -> list[Begun]:
        """Return the firings that have not ended. Called on any thread."""
        return list(self._open.values())

    def leave_behind(self, begun: Begun) -> None:
        """Wait for a firing no longer, whatever it still does: it can write nothing any more. Called on any thread."""
        self._report(begun, attempts.cut_short(begun))

    def _start(self, begun: Sequence[Begun]) -> None:
        for one in begun:
            if self.stop.why:
                self._report(one, attempts.cut_short(one))
                continue
            task = self.loop.create_task(attempts.run(one))
            self.tasks[task] = one
            self._mine.add(task)
            task.add_done_callback(partial(self._end, one))

    def _end(self, begun: Begun, task: asyncio.Task[Ended]) -> None:
        del self.tasks[task]
        self._mine.discard(task)
        ended: Ended | None = None
        if task.cancelled():
            # Perhaps before its first step: then nothing in it has noticed.
            ended = attempts.cut_short(begun) if self.stop.why else None
        elif error := task.exception():
            logger.error("A firing broke off", exc_info=error)
        else:
            ended = task.result()
        self._report(begun, ended)

    def _cancel(self) -> None:
        for task in self._mine:
            task.cancel()

    def _report(self, begun: Begun, ended: Ended | None) -> None:
        if self._open.pop(id(begun), None) is not None:
            self.report(ended)
