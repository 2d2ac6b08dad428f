"""Who held the claims that were lost, and whether the run itself has struck them: only that makes a `POISON` chance."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from executions.engine.status import NodeStatus
from executions.leases import MAX_LOSSES
from executions.models import NodeExecution
from tests.faults.stack import Member

#: Often enough to see each claim that is lost: its row stands for a lease, whatever became of its worker.
LOOK_S = 0.1
#: So long after a strike a process may still be cut off: until it has connected anew.
AFTERWARDS_S = 5.0


@dataclass(slots=True)
class Held:
    """A claim as it was seen: by which process, and from when until when."""

    pid: int
    first: float
    last: float


@dataclass(slots=True)
class Strike:
    """What the run has done to a process, and from when until when; for ever where it was killed."""

    since: float
    until: float = inf

    def end(self) -> None:
        """Note that it is over."""
        self.until = time.monotonic() + AFTERWARDS_S


@dataclass
class Losses:
    """The claims of the workers of a run, and what the run does to these."""

    workers: Sequence[Member]
    held: dict[int, Held] = field(default_factory=dict)
    strikes: defaultdict[int, list[Strike]] = field(default_factory=lambda: defaultdict(list))
    #: Starts of workers that may die at any time, by a failpoint.
    doomed: list[tuple[Member, int]] = field(default_factory=list)
    #: Of the database, which all of them need.
    of_all: list[Strike] = field(default_factory=list)
    #: By pool process, the leader of its group.
    leaders: dict[int, int] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look on a thread of its own for as long as this lasts: whoever strikes may be held up."""
        stop = threading.Event()
        watching = threading.Thread(target=self._look_until, args=[stop], name="losses")
        watching.start()
        try:
            yield
        finally:
            stop.set()
            watching.join()

    def strike(self, *pids: int) -> Strike:
        """Note that these processes are struck from now on."""
        strike = Strike(time.monotonic())
        for pid in pids:
            self.strikes[pid].append(strike)
        return strike

    def strike_all(self) -> Strike:
        """Note that all processes are."""
        self.of_all.append(Strike(time.monotonic()))
        return self.of_all[-1]

    def look(self) -> None:
        """See who holds what just now."""
        for member in self.workers:
            self.leaders.update(dict.fromkeys(member.children, member.pid) if member.is_up else {})
        moment = time.monotonic()
        rows = NodeExecution.objects.filter(status=NodeStatus.RUNNING).values_list("fence", "worker")
        for fence, worker in rows:
            held = self.held.setdefault(fence, Held(int(worker.rpartition(":")[2]), moment, moment))
            held.last = moment

    def unexplained(self, execution_id: UUID) -> Iterator[str]:
        """Yield what of a `POISON` is not the doing of the run: each claim whose worker it has not struck while that held it."""
        given_up = NodeExecution.objects.filter(execution_id=execution_id, error_code="POISON")
        lost = dict(given_up.values_list("node_key", "lost_fences"))
        yield from self._unexplained(lost)

    def _unexplained(self, lost: Mapping[str, Sequence[int]]) -> Iterator[str]:
        if not lost:
            yield "no firing of it was given up"
        for key, fences in lost.items():
            if len(fences) < MAX_LOSSES:
                yield f"{key} was given up after {len(fences)} losses"
            for fence in fences:
                held = self.held.get(fence)
                if held is None:
                    yield f"nobody was seen with claim {fence} of {key}"
                elif not self._was_struck(held):
                    yield f"process {held.pid}, which nothing has struck, is said to be lost with {key}"

    def _was_struck(self, held: Held) -> bool:
        leader = self.leaders.get(held.pid, held.pid)
        if leader in {member.pids[start] for member, start in self.doomed}:
            return True
        strikes = [*self.of_all, *self.strikes[held.pid], *self.strikes[leader]]
        return any(strike.since <= held.last and held.first <= strike.until for strike in strikes)

    def _look_until(self, stop: threading.Event) -> None:
        try:
            while not stop.wait(LOOK_S):
                try:
                    self.look()
                except (OperationalError, InterfaceError):
                    connection.close()
        finally:
            connection.close()


def ending(strike: Strike, undo: Callable[[], None]) -> Callable[[], None]:
    """Return what undoes a fault, and notes that it is over."""

    def end() -> None:
        undo()
        strike.end()

    return end
