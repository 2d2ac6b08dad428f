"""What one worker process shares: an event loop for blocks that wait, the heartbeat of its leases, and a watch over both."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from executions import closing, last_resort
from executions.batch import Ended
from executions.begun import Begun
from executions.heartbeat import Heartbeat
from executions.leases import Claim
from executions.watch import Run, Watch

P = ParamSpec("P")
T = TypeVar("T")

#: How long the database may be away before work on it is given up; the leases have run out by then.
DATABASE_PATIENCE_S = 30.0


class Worker:
    """The shared parts of this process. Started by the first task, as a pool may fork before."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()[:40]}:{os.getpid()}"
        self.loop = asyncio.new_event_loop()
        #: The firings on the loop, those that were left behind too.
        self.firings: dict[asyncio.Task[Ended], Begun] = {}
        self._runs: set[Run] = set()
        self._suspect: Claim | None = None
        self._suspecting = threading.Lock()
        self._heartbeat = Heartbeat()
        blocks = threading.Thread(target=self.loop.run_forever, name="blocks", daemon=True)
        blocks.start()
        self._watch = Watch(self.loop, blocks, self.firings, self._runs, self._heartbeat)
        self._heartbeat.start()
        self._watch.start()

    @property
    def is_closing(self) -> bool:
        """Say whether nothing more may be begun here."""
        return self._watch.is_doomed or closing.is_asked()

    def may_begin_suspect(self, claim: Claim) -> bool:
        """Say whether a firing may begin that workers were lost with again and again: one at a time, to see whose fault it is."""
        with self._suspecting:
            if self._suspect is None:
                self._suspect = claim
            return self._suspect == claim

    def clear_suspect(self, fence: int) -> None:
        """Let the next one begin: the firing with this fence waits for sub-graphs, and one of those may be the one to blame."""
        with self._suspecting:
            if self._suspect and self._suspect.fence == fence:
                self._suspect = None

    def enter(self, run: Run) -> None:
        """Watch over a lane until it leaves."""
        self._runs.add(run)
        if not last_resort.is_armed():
            last_resort.arm(settings.AGENTPLATFORM_BLOCK_TIMEOUT_S)

    def leave(self, run: Run) -> None:
        """Let a lane go."""
        self._runs.discard(run)

    def hold(self, claims: Iterable[Claim], run: Run) -> None:
        """Keep these leases alive until they are dropped."""
        self._heartbeat.hold(dict.fromkeys(claims, run))

    def drop(self, claims: Iterable[Claim]) -> None:
        """Stop renewing these leases."""
        claims = list(claims)
        self._clear_suspects(claims)
        self._heartbeat.drop(claims)

    def let_go(self, claims: Iterable[Claim]) -> None:
        """Stop renewing leases of what has not ended: others take it over, and are told that this worker was not lost with it."""
        claims = list(claims)
        self._clear_suspects(claims)
        self._heartbeat.let_go(claims)

    def _clear_suspects(self, claims: Sequence[Claim]) -> None:
        with self._suspecting:
            self._suspect = None if self._suspect in claims else self._suspect


def patiently(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call, and call again with growing pauses while the database is away or asks to retry.

    Raises:
        django.db.OperationalError: it stayed away for too long.
    """
    deadline = time.monotonic() + DATABASE_PATIENCE_S
    pause = 0.05
    while True:
        try:
            return call(*args, **kwargs)
        except (OperationalError, InterfaceError):
            connection.close()
            if time.monotonic() + pause > deadline:
                raise
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause = min(pause * 2, 2.0)


_starting = threading.Lock()


def current() -> Worker:
    """Return the worker of this process."""
    with _starting:
        return _only()


@cache
def _only() -> Worker:
    return Worker()
