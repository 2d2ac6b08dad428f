"""A worker process in memory: the real lanes and firings, on a loop that only goes on when it is turned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from executions.batch import Ended
from executions.begun import Begun
from executions.engine.compile import Lane
from executions.engine.plan import Plan
from executions.errors import LeaseLost, NotRunning
from executions.heartbeat import Holder
from executions.lane_run import LaneRun
from executions.leases import Claim
from executions.messages import Work
from executions.needs import Inbox, Needs, Request, Steps
from executions.route import Route
from tests.durable.clock import Clock, VirtualLoop
from tests.durable.database import LEASE_S, Database


class Worker:
    """What `executions.worker.Worker` is to lanes, with a heartbeat that beats when it is told to."""

    def __init__(self, name: str, clock: Clock, plan: Plan) -> None:
        self.name = name
        #: As the release of this worker cuts it.
        self.plan = plan
        self.clock = clock
        self.loop = VirtualLoop(clock)
        self.held: dict[Claim, Holder] = {}
        #: Let go before its end, to be vouched for.
        self.gone: list[Claim] = []
        self.tasks: list[Task] = []
        self.firings: dict[asyncio.Task[Ended], Begun] = {}
        self.runs: set[LaneRun] = set()
        self.suspect: Claim | None = None
        self.is_closing = False
        self.renewed_at = clock.now

    def enter(self, run: LaneRun) -> None:
        """Watch over a lane until it leaves."""
        self.runs.add(run)

    def leave(self, run: LaneRun) -> None:
        """Let a lane go."""
        self.runs.discard(run)

    def leave_all(self) -> None:
        """Interrupt every lane, as this worker stops."""
        for run in list(self.runs):
            run.leave()
        self.loop.turn()

    def has_to_settle(self) -> list[Task]:
        """Return the lanes that have something to write."""
        return [task for task in self.tasks if task.can_go_on and task.needs is Needs.SETTLED]

    def hold(self, claims: Iterable[Claim], holder: Holder) -> None:
        """Keep these leases alive until they are dropped."""
        self.held.update(dict.fromkeys(claims, holder))

    def may_begin_suspect(self, claim: Claim) -> bool:
        """Say whether a firing may begin that workers were lost with again and again: one at a time."""
        self.suspect = self.suspect or claim
        return self.suspect == claim

    def drop(self, claims: Iterable[Claim]) -> None:
        """Stop renewing these leases."""
        for claim in claims:
            self.held.pop(claim, None)
            self.suspect = None if self.suspect == claim else self.suspect

    def let_go(self, claims: Iterable[Claim]) -> None:
        """Stop renewing leases of what has not ended."""
        claims = list(claims)
        self.drop(claims)
        self.gone += claims

    def close(self) -> None:
        """Clear away what is left in its lanes and on its loop."""
        for task in self.tasks:
            task.steps.close()
        for pending in asyncio.all_tasks(self.loop):
            pending.cancel()
        self.loop.turn()
        self.loop.close()

    def beat(self, database: Database | None) -> None:
        """Renew the leases, or fail to, where the database can not be reached."""
        lost: set[Holder] = set()
        held = dict(self.held)
        if database is not None:
            gone = database.renew(held)
            for claim, holder in held.items():
                is_cancelled = gone.get(claim)
                if is_cancelled:
                    holder.cancel()
                elif is_cancelled is False:
                    lost.add(holder)
            self.gone = database.vouch(self.gone)
            self.renewed_at = self.clock.now
        elif self.clock.now - self.renewed_at > LEASE_S:
            lost = set(held.values())
        for holder in lost:
            holder.lose()
        self.loop.turn()


@dataclass(eq=False)
class Task:
    """A lane on a worker, and what becomes of its canvas once it returns."""

    worker: Worker
    work: Work
    then: Callable[[], None]
    route: Route
    request: Request | None = None
    inbox: Inbox = field(default_factory=SimpleQueue)
    is_over: bool = False

    def __post_init__(self) -> None:
        self.steps = _follow(self)
        self.resume(None)

    @property
    def can_go_on(self) -> bool:
        """Say whether it waits for an answer, and not only for news of its blocks."""
        return not self.is_over and (self.needs is not Needs.NEWS or not self.inbox.empty())

    @property
    def needs(self) -> Needs:
        assert self.request is not None
        return self.request.needs

    def ask(self, database: Database) -> Any:
        """Let the database do what the lane needs, and return its answer."""
        assert self.request is not None
        value = self.request.value
        if self.needs is Needs.LOOK:
            return database.look(value, self.worker.plan)
        if self.needs is Needs.CLAIMS:
            execution_id, wanted = value
            return database.claim({execution_id: wanted}, worker=self.worker.name)[execution_id]
        if self.needs is Needs.SETTLED:
            return database.settle([value])[0]
        return self._hear()

    def resume(self, answer: Any) -> None:
        """Let the lane go on with an answer until it needs something again, as the runner does."""
        try:
            self.request = self.steps.throw(answer) if isinstance(answer, Exception) else self.steps.send(answer)
        except (StopIteration, LeaseLost, NotRunning):
            self.is_over = True
            self.worker.tasks = [task for task in self.worker.tasks if task is not self]
            self.then()
        self.worker.loop.turn()

    def _hear(self) -> None:
        while not self.inbox.empty():
            run, ended = self.inbox.get()
            run.hear(ended)


def _follow(task: Task) -> Steps:
    lane: Lane | None = task.work.lane
    while lane is not None:
        snapshot = yield Request(Needs.LOOK, Work(task.work.execution_id, lane))
        # What a lane needs of a worker, a worker in memory has too.
        run = LaneRun(task.worker, snapshot, lane, task.inbox, task.route) if snapshot else None  # type: ignore[arg-type]
        lane = (yield from run.carry_out()) if run else None
