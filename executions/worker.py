"""What one worker process shares: an event loop for blocks that wait, and the heartbeat of its leases."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, ParamSpec, Protocol, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from executions import leases
from executions.leases import Claim

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: How long the database may be away before work on it is given up; the leases have run out by then.
DATABASE_PATIENCE_S = 30.0


class Holder(Protocol):
    """Whoever holds leases, to be told when one is lost."""

    def lose(self) -> None:
        """Stop at once: another worker has taken over."""
        ...

    def cancel(self) -> None:
        """Stop, and settle what was used: the execution was cancelled."""
        ...


class Worker:
    """The shared parts of this process. Started by the first task, as a pool may fork before."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()[:40]}:{os.getpid()}"
        self.loop = asyncio.new_event_loop()
        self._held: dict[Claim, Holder] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self.loop.run_forever, name="blocks", daemon=True).start()
        # On a thread of its own, so that a block that keeps the loop busy can not starve the leases.
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def hold(self, claims: Iterable[Claim], holder: Holder) -> None:
        """Keep these leases alive until they are dropped."""
        with self._lock:
            self._held.update(dict.fromkeys(claims, holder))

    def drop(self, claims: Iterable[Claim]) -> None:
        """Stop renewing these leases."""
        with self._lock:
            for claim in claims:
                self._held.pop(claim, None)

    def _beat(self) -> None:
        renewed_at = time.monotonic()
        while True:
            time.sleep(settings.AGENTPLATFORM_HEARTBEAT_S)
            with self._lock:
                held = dict(self._held)
            lost: set[Holder] = set()
            try:
                gone = leases.renew(held) if held else {}
                lost = {holder for claim, holder in held.items() if gone.get(_key(claim)) is False}
                for holder in {holder for claim, holder in held.items() if gone.get(_key(claim))}:
                    holder.cancel()
                renewed_at = time.monotonic()
            except Exception as error:
                # The thread must live on, whatever it was: without a heartbeat every lease of this process would be lost.
                is_away = isinstance(error, OperationalError | InterfaceError)
                logger.warning("Leases could not be renewed: %s", error, exc_info=not is_away)
                connection.close()
                if time.monotonic() - renewed_at > settings.AGENTPLATFORM_LEASE_S:
                    # What we hold may belong to somebody else by now, so no further effect may start here.
                    lost = set(held.values())
            for holder in lost:
                holder.lose()


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


def _key(claim: Claim) -> tuple[Any, str, tuple[int, ...]]:
    return claim.execution_id, claim.node_key, claim.path
