"""Send what is to be told to those who subscribed, in beat's own process: many at once on one event loop, none in another's way."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

from django.conf import settings
from django.db import connection

from agentplatform.lib import http
from executions import failpoints, outgoing
from executions.outgoing import Attempt, Outcome
from executions.worker import patiently

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
MOST_NOTED = 100


class Sender:
    """Takes what is due, lets an event loop send it, and writes down what came of it: the database is asked on one thread only."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # Names are looked up on these: those whose name server hangs must leave some for others. They start when they are needed.
        self._loop.set_default_executor(ThreadPoolExecutor(settings.AGENTPLATFORM_OUTGOING_AT_ONCE, "looking-up"))
        self._ended: SimpleQueue[Outcome] = SimpleQueue()
        self._under_way = 0
        threading.Thread(target=self._loop.run_forever, name="outgoing", daemon=True).start()

    def look(self, wait_s: float = LOOK_EVERY_S) -> int:
        """Wait until something has come back, or for so long; write it down, and begin what is due. Return how many are under way."""
        if ended := self._collect(wait_s):
            failpoints.reach("after_outgoing_send")
            # What can not be written down is sent again when its lease is over.
            patiently(outgoing.note, ended)
        free = settings.AGENTPLATFORM_OUTGOING_AT_ONCE - self._under_way
        for attempt in patiently(outgoing.claim, free) if free > 0 else []:
            self._under_way += 1
            asyncio.run_coroutine_threadsafe(self._send(attempt), self._loop)
        return self._under_way

    def close(self) -> None:
        """End the event loop, and what is still under way: it is sent again when its lease is over."""
        asyncio.run_coroutine_threadsafe(http.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _collect(self, wait_s: float) -> list[Outcome]:
        ended: list[Outcome] = []
        try:
            ended.append(self._ended.get(timeout=wait_s))
            while len(ended) < MOST_NOTED:
                ended.append(self._ended.get_nowait())
        except Empty:
            pass  # that was all
        self._under_way -= len(ended)
        return ended

    async def _send(self, attempt: Attempt) -> None:
        self._ended.put(await outgoing.send(attempt))


def keep_sending(stop: threading.Event) -> None:
    """Send what is due, until `stop`. In beat's own process, on a thread of its own: nothing else holds it up."""
    sender = Sender()
    while not stop.is_set():
        try:
            sender.look()
        except Exception:
            # The next look may do better; without any, nobody would ever be told anything.
            logger.exception("Subscribers could not be told")
            connection.close()
            stop.wait(LOOK_EVERY_S)
    sender.close()
