"""Keep the leases of a worker process alive, and hear at once which executions were cancelled: one thread, one connection."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from executions import leases
from executions.leases import Claim

logger = logging.getLogger(__name__)

#: Where cancelled executions are told of: ids, separated by commas.
CHANNEL = "agentplatform_stop"
#: A cancellation is remembered so long, for claims that were granted before it and noted after it.
REMEMBERED_S = 60.0
#: So long is waited for others to take over what was let go here.
VOUCHED_S = 600.0


class Holder(Protocol):
    """Whoever holds leases, to be told when one is lost."""

    def lose(self) -> None:
        """Stop at once: another worker has taken over."""
        ...

    def cancel(self) -> None:
        """Stop, and settle what was used: the execution was cancelled."""
        ...


class Heartbeat:
    """Which leases this process holds, and the thread that renews them."""

    def __init__(self) -> None:
        self._held: dict[Claim, Holder] = {}
        #: Since when: given up before its end, and perhaps held against it as if this process were lost.
        self._gone: dict[Claim, float] = {}
        self._is_doomed = False
        self._lock = threading.Lock()
        self._is_needed = threading.Event()
        self._cancelled: dict[UUID, float] = {}
        self._renewed_at = 0.0
        self._listens_on: Any = None

    def start(self) -> None:
        """Begin, on a thread of its own: so a block that keeps the event loop busy can not starve the leases."""
        threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True).start()

    def hold(self, claims: Mapping[Claim, Holder]) -> None:
        """Keep these leases alive until they are dropped."""
        if not claims:
            return
        with self._lock:
            if not self._held:
                self._renewed_at = time.monotonic()
            self._held.update(claims)
            known = self._cancelled.keys() & {claim.execution_id for claim in claims}
        self._is_needed.set()
        self._tell_cancelled(known, claims)

    def drop(self, claims: Iterable[Claim]) -> None:
        """Stop renewing these leases."""
        with self._lock:
            for claim in claims:
                self._held.pop(claim, None)
            self._rest_if_idle()

    def let_go(self, claims: Iterable[Claim]) -> None:
        """Stop renewing these leases, and say of them from now on that this worker lives: it was not lost with them."""
        moment = time.monotonic()
        with self._lock:
            for claim in claims:
                self._held.pop(claim, None)
                if not self._is_doomed:
                    self._gone[claim] = moment
            if self._gone:
                self._is_needed.set()
            else:
                self._rest_if_idle()

    def doom(self) -> None:
        """Speak for nothing any more: this process ends itself because of something that it holds."""
        with self._lock:
            self._is_doomed = True
            self._gone.clear()

    def give_up_if_late(self) -> None:
        """Let go of what was not renewed for a whole lease. The watch asks too: a renewal may wait long for its answer."""
        with self._lock:
            if time.monotonic() - self._renewed_at <= settings.AGENTPLATFORM_LEASE_S:
                return
            held = set(self._held.values())
        for holder in held:
            # What it holds may belong to somebody else by now, so no further effect may start here.
            holder.lose()

    def _keep_beating(self) -> None:
        while True:
            self._is_needed.wait()
            due_at = time.monotonic() + settings.AGENTPLATFORM_HEARTBEAT_S
            try:
                self._listen()
                # After it listens: what was cancelled before is seen here, what is cancelled later is heard.
                self._renew()
                self._vouch()
                for cancelled in self._hear(until=due_at):
                    self._note_cancelled(cancelled)
            except Exception as error:
                # The thread must live on, whatever it was: without a heartbeat every lease of this process would be lost.
                is_away = isinstance(error, OperationalError | InterfaceError)
                logger.warning("Leases could not be renewed: %s", error, exc_info=not is_away)
                connection.close()
                self.give_up_if_late()
                time.sleep(max(0.0, min(due_at - time.monotonic(), 1.0)))

    def _listen(self) -> None:
        connection.ensure_connection()
        if self._listens_on is connection.connection:
            return
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        self._listens_on = connection.connection

    def _renew(self) -> None:
        asked_at = time.monotonic()
        with self._lock:
            held = dict(self._held)
        gone = leases.renew(held) if held else {}
        for holder in {holder for claim, holder in held.items() if gone.get(claim) is False}:
            holder.lose()
        for holder in {holder for claim, holder in held.items() if gone.get(claim)}:
            holder.cancel()
        self._renewed_at = asked_at

    def _vouch(self) -> None:
        with self._lock:
            gone = list(self._gone)
        if not gone:
            return
        again = set(leases.vouch(gone))
        since = time.monotonic() - VOUCHED_S
        with self._lock:
            for claim in gone:
                if claim not in again or self._gone.get(claim, since) <= since:
                    self._gone.pop(claim, None)
            self._rest_if_idle()

    def _rest_if_idle(self) -> None:
        if not (self._held or self._gone):
            self._is_needed.clear()

    def _hear(self, *, until: float) -> Iterator[set[UUID]]:
        """Yield what is told until then. Where nothing is ever told, as behind some poolers, a renewal tells the same a little later."""
        with connection.wrap_database_errors:
            for told in connection.connection.notifies(timeout=max(0.0, until - time.monotonic())):
                yield {UUID(execution_id) for execution_id in told.payload.split(",")}

    def _note_cancelled(self, cancelled: set[UUID]) -> None:
        moment = time.monotonic()
        with self._lock:
            self._cancelled = {one: at for one, at in self._cancelled.items() if moment - at < REMEMBERED_S}
            self._cancelled.update(dict.fromkeys(cancelled, moment))
            held = dict(self._held)
        self._tell_cancelled(cancelled, held)

    def _tell_cancelled(self, cancelled: set[UUID], held: Mapping[Claim, Holder]) -> None:
        for holder in {holder for claim, holder in held.items() if claim.execution_id in cancelled}:
            holder.cancel()
