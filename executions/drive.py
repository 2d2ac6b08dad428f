"""Drive lanes side by side on one thread: what several of them need at once is asked for in one statement and one commit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import SimpleQueue
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError

from executions import endings, failpoints, leases, worker
from executions.batch import Batch, Settled
from executions.engine.compile import Lane
from executions.engine.items import Path
from executions.errors import LeaseLost, NotRunning
from executions.lane_run import LaneRun
from executions.leases import Claim, Wanted
from executions.messages import Work
from executions.needs import Inbox, Listener, Needs, Request, Steps
from executions.route import Route
from executions.settle import settle
from executions.snapshot import look

logger = logging.getLogger(__name__)

#: A lane that has to be answered, and the answer: raised in it if that is an error.
Answered = tuple[Steps, Any]
#: What answers needs of one kind: values in, as many answers out.
Answer = Callable[[list[Any]], Sequence[Any]]


class Drive:
    """Resumes what can go on, collects what that needs, and asks the database once for each kind of need."""

    def __init__(self, answers: Mapping[Needs, Answer]) -> None:
        self.inbox: Inbox = SimpleQueue()
        self._answers = answers
        self._waiting: dict[Listener, Steps] = {}
        self._answered: list[Answered] = []

    def begin(self, steps: Steps) -> None:
        """Take up something more. Called on the thread that drives."""
        self._answered.append((steps, None))

    def run(self) -> None:
        """Drive until nothing is left."""
        while self._answered or self._waiting:
            self._turn(listens=bool(self._waiting))

    def run_for_ever(self) -> None:
        """Drive what there is, and wait for more."""
        while True:
            try:
                self._turn(listens=True)
            except Exception:
                # This thread must live on; what broke off is recovered by its leases.
                logger.exception("Driving failed")

    def _turn(self, *, listens: bool) -> None:
        answered, self._answered = self._answered, []
        asked = [(steps, request) for steps, answer in answered if (request := _resume(steps, answer))]
        self._waiting |= {request.value: steps for steps, request in asked if request.needs is Needs.NEWS}
        self._answered += self._answer([one for one in asked if one[1].needs is not Needs.NEWS])
        if (listens or self._waiting) and (not self._answered or not self.inbox.empty()):
            self._hear()

    def _hear(self) -> None:
        """Wait for news, and take all there is: what ended together is settled together."""
        heard: dict[Listener, None] = {}
        while not heard or not self.inbox.empty():
            listener, news = self.inbox.get()
            listener.hear(news)
            heard[listener] = None
        self._answered += [(self._waiting.pop(one), None) for one in heard if one in self._waiting]

    def _answer(self, asked: list[tuple[Steps, Request]]) -> Iterator[Answered]:
        """Ask the database for what is needed, once for each kind of need."""
        for needs, call in self._answers.items():
            alike = [(steps, request.value) for steps, request in asked if request.needs is needs]
            if not alike:
                continue
            try:
                answers = worker.patiently(call, [value for _, value in alike])
            except (OperationalError, InterfaceError) as error:
                answers = [error] * len(alike)
            except Exception as error:  # noqa: BLE001 - raised again in the lane that asked
                if len(alike) > 1:
                    # One of them is at fault: which one shows when each asks alone.
                    for one in asked:
                        if one[1].needs is needs:
                            yield from self._answer([one])
                    continue
                answers = [error]
            yield from zip((steps for steps, _ in alike), answers, strict=True)


def follow(work: Work, inbox: Inbox, route: Route) -> Steps:
    """Run a lane, and in its place each lane that it made possible and that belongs on this queue."""
    lane: Lane | None = work.lane
    while lane is not None:
        snapshot = yield Request(Needs.LOOK, Work(work.execution_id, lane))
        run = LaneRun(worker.current(), snapshot, lane, inbox, route) if snapshot else None
        lane = (yield from run.carry_out()) if run else None


def claim(wanted: list[tuple[UUID, Sequence[Wanted]]]) -> list[list[Claim]]:
    """Claim the firings that lanes want; of two that want the same, the first gets it."""
    together: dict[UUID, dict[tuple[str, Path], Wanted]] = {}
    for execution_id, firings in wanted:
        its = together.setdefault(execution_id, {})
        for firing in firings:
            its.setdefault((firing.node_key, firing.path), firing)
    failpoints.reach("before_claim")
    claims = leases.claim({one: list(its.values()) for one, its in together.items()}, worker=worker.current().name)
    failpoints.reach("after_claim")
    places = {(claim.execution_id, claim.node_key, claim.path): claim for one in claims.values() for claim in one}
    return [
        [places.pop(place) for firing in firings if (place := (execution_id, firing.node_key, firing.path)) in places]
        for execution_id, firings in wanted
    ]


def _settle(batches: Sequence[Batch]) -> list[Settled | Exception]:
    settled = settle(batches)
    endings.follow_up(settled)
    endings.look_after_children(batches)
    return settled


#: What every lane may need.
OF_LANES: Mapping[Needs, Answer] = {Needs.LOOK: look, Needs.CLAIMS: claim, Needs.SETTLED: _settle}


def _resume(steps: Steps, answer: Any) -> Request | None:
    """Let something go on until it needs something. Return what, or None if it has ended."""
    try:
        return steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
    except StopIteration:
        return None
    except (LeaseLost, NotRunning) as reason:
        logger.info("Left an execution alone: %s", reason.message)
    except Exception:
        # Its leases run out, and reconcile launches it again.
        logger.exception("A lane broke off")
    return None
