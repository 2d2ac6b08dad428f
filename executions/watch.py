"""Keep an eye on what runs in this process: leave behind what does not end, and end the process if nothing else helps.

A block can swallow its cancellation, keep the event loop or its thread to itself, or hold the interpreter's lock for good. The first
is left behind. The others can only be ended with the process: then everything else that runs here is handed on before.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from math import isfinite
from typing import Any, Protocol

from django.conf import settings
from django.db import connection

from executions import closing, last_resort
from executions.begun import Begun, Why
from executions.heartbeat import Heartbeat, Holder

logger = logging.getLogger(__name__)

TICK_S = 0.25
#: So long after its time limit, or after it was told to stop, a firing is waited for.
GRACE_S = 1.0
#: An event loop that does not answer for so long is spoken of.
SILENT_S = 5.0
#: So long may what is handed on take to be written, before the process ends all the same.
HAND_OVER_S = 5.0


class Run(Holder, Protocol):
    """A lane under way."""

    #: What it computes just now, and the thread that does.
    computing: Begun | None
    thread: int
    on_loop: Any

    def leave(self) -> None:
        """Stop, settle what was used, and let another worker go on."""
        ...

    def fail_computing(self, begun: Begun) -> None:
        """Settle what it computes as having taken too long."""
        ...


class Watch:
    """The thread that looks at everything that runs, a few times a second."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread,
        tasks: Mapping[Any, Begun],
        runs: set[Run],
        heartbeat: Heartbeat,
    ) -> None:
        self.is_doomed = False
        self._loop, self._thread, self._tasks, self._runs = loop, thread, tasks, runs
        self._heartbeat = heartbeat
        self._looked_at = self._answered_at = time.monotonic()
        self._is_asked = False
        self._is_told = False
        self._deadline: float | None = None

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._keep_looking, name="watch", daemon=True).start()

    def _keep_looking(self) -> None:
        while True:
            time.sleep(TICK_S)
            try:
                self._look(time.monotonic())
            except Exception:
                # It must live on: without it nothing would ever end a block that hangs.
                logger.exception("The watch stumbled")

    def _look(self, moment: float) -> None:
        stood_still = moment - self._looked_at > TICK_S + GRACE_S
        self._looked_at = moment
        if stood_still:
            # The whole process did, or the machine: everything in it gets another chance to end by itself.
            self._answered_at = moment
        if not self._is_asked:
            self._is_asked = True
            self._loop.call_soon_threadsafe(self._answer)
        self._arm_last_resort(moment)
        if stood_still:
            return
        self._heartbeat.give_up_if_late()
        self._close_if_asked(moment)
        self._look_at_firings(moment)
        self._look_at_loop(moment)
        self._look_at_threads(moment)
        self._end_if_due(moment)

    def _answer(self) -> None:
        self._answered_at = time.monotonic()
        self._is_asked = self._is_told = False

    def _look_at_firings(self, moment: float) -> None:
        """Leave behind what does not end although it should have, and was free to."""
        culprit = self._culprit()
        for run in list(self._runs):
            for begun in run.on_loop.under_way():
                is_free = begun is culprit or self._silent_s(moment) < GRACE_S
                if _told_s(begun, moment) > GRACE_S or (is_free and begun.course.over_s(moment) > GRACE_S):
                    run.on_loop.leave_behind(begun)
        for begun in list(self._tasks.values()):
            if max(_told_s(begun, moment), begun.course.over_s(moment)) > GRACE_S and not begun.course.is_left:
                begun.course.is_left = True
                logger.warning("%s does not stop and is left behind", _name(begun))

    def _look_at_loop(self, moment: float) -> None:
        """End the process where a block keeps the event loop to itself and will not stop."""
        silent_s = self._silent_s(moment)
        if silent_s < GRACE_S or self.is_doomed:
            return
        culprit = self._culprit()
        if silent_s > SILENT_S and not self._is_told and not closing.is_pool_process():
            self._is_told = True
            what = _name(culprit) if culprit else "A block"
            logger.warning("%s keeps the event loop for %.0f s:\n%s", what, silent_s, _stack(self._thread.ident))
        if culprit is None:
            # Whose fault it is can not be told, so all of them are taken for lost with this process.
            begun_before = [one.course.limit_s for one in list(self._tasks.values()) if one.course.context]
            if silent_s > max(begun_before, default=settings.AGENTPLATFORM_BLOCK_TIMEOUT_S) + GRACE_S:
                self._doom("The event loop does not answer", Why.LOST)
        elif culprit.course.over_s(moment) > GRACE_S:
            self._doom(f"{_name(culprit)} keeps the event loop beyond its time limit", Why.LEAVING)
        elif closing.is_pool_process() and _told_s(culprit, moment) > GRACE_S:
            self._doom(f"{_name(culprit)} was told to stop and computes on", Why.LEAVING)

    def _look_at_threads(self, moment: float) -> None:
        """End the process where a block that only computes never comes back."""
        for run in list(self._runs):
            begun = run.computing
            if begun is None or begun.course.over_s(moment) <= GRACE_S or begun.course.is_left:
                continue
            begun.course.is_left = True
            logger.warning("%s computes beyond its time limit:\n%s", _name(begun), _stack(run.thread))
            try:
                run.fail_computing(begun)
            finally:
                connection.close()
                self._doom(f"{_name(begun)} computes beyond its time limit", Why.LEAVING)

    def _close_if_asked(self, moment: float) -> None:
        """Where this worker is to stop: give what runs its time, then hand it on."""
        if not closing.is_asked():
            return
        if self._deadline is None:
            self._deadline = moment + settings.AGENTPLATFORM_SOFT_SHUTDOWN_S + HAND_OVER_S
        if moment > self._deadline - HAND_OVER_S:
            for run in list(self._runs):
                run.leave()

    def _doom(self, why: str, reason: Why) -> None:
        if self.is_doomed:
            return
        logger.critical("%s: this process ends, and what else runs here goes on elsewhere", why)
        self.is_doomed = True
        self._heartbeat.doom()
        self._deadline = time.monotonic() + HAND_OVER_S
        for run in list(self._runs):
            run.lose() if reason is Why.LOST else run.leave()

    def _end_if_due(self, moment: float) -> None:
        """End this process once everything is handed on, or will never be."""
        if self.is_doomed:
            # Those that came in before it was known.
            for run in list(self._runs):
                run.leave()
        is_late = self._deadline is not None and moment > self._deadline
        if (self.is_doomed and not self._runs) or (is_late and self._runs):
            logger.critical("This process ends itself")
            os.kill(os.getpid(), signal.SIGKILL)

    def _arm_last_resort(self, moment: float) -> None:
        """Have the process ended should this thread never run again."""
        runs = list(self._runs)
        if not (runs or self._tasks):
            last_resort.disarm()
            return
        courses = [one.course for one in list(self._tasks.values())]
        courses += [begun.course for run in runs if (begun := run.computing)]
        left_s = [-over_s for course in courses if isfinite(over_s := course.over_s(moment))]
        if runs and not (left_s and closing.is_pool_process()):
            # So long may take what begins before the next look; what computes for long sees to itself.
            left_s.append(settings.AGENTPLATFORM_BLOCK_TIMEOUT_S)
        last_resort.arm(max([0.0, *left_s]))

    def _silent_s(self, moment: float) -> float:
        return moment - self._answered_at

    def _culprit(self) -> Begun | None:
        """Return the firing that the event loop is at just now."""
        task = asyncio.current_task(self._loop)
        return self._tasks.get(task) if task else None


def _told_s(begun: Begun, moment: float) -> float:
    """Return since when a firing is told to stop."""
    # One whose block has ended waits for what that has started, and for that no longer than a lease or two.
    return moment - begun.stop.asked_at if begun.stop.why and not begun.course.is_closing else 0.0


def _name(begun: Begun) -> str:
    return f"Block {begun.node.block_id} in node {begun.node.key} of execution {begun.execution_id}"


def _stack(thread: int | None) -> str:
    frame = sys._current_frames().get(thread or 0)
    return "".join(traceback.format_stack(frame)) if frame else ""
