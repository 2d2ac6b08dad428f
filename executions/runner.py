"""Run the lanes of a message side by side on the thread that got it, and what follows from them here.

A lane says what it needs of the database; what several lanes need at once is asked for in one statement and one commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError

from executions import leases, worker
from executions.batch import Batch, Settled
from executions.endings import follow_up
from executions.engine.compile import Lane
from executions.engine.items import Path
from executions.errors import LeaseLost, NotRunning
from executions.lane_run import Inbox, LaneRun, Needs, Request, Steps
from executions.leases import Claim, Wanted
from executions.messages import Work
from executions.settle import settle
from executions.snapshot import look

logger = logging.getLogger(__name__)

#: A lane that has to be answered, and the answer: raised in it if that is an error.
Answered = tuple[Steps, Any]


def run_lanes(work: Sequence[Work]) -> None:
    """Run lanes and whatever follows from them here. Never raises: the outcome is in Postgres."""
    inbox: Inbox = SimpleQueue()
    waiting: dict[LaneRun, Steps] = {}
    answered: list[Answered] = [(_follow(one, inbox), None) for one in work]
    while answered or waiting:
        asked = [(steps, request) for steps, answer in answered if (request := _resume(steps, answer))]
        waiting |= {request.value: steps for steps, request in asked if request.needs is Needs.NEWS}
        answered = list(_answer([one for one in asked if one[1].needs is not Needs.NEWS]))
        if waiting and (not answered or not inbox.empty()):
            answered += [(waiting.pop(run), None) for run in _hear(inbox) if run in waiting]


def _follow(work: Work, inbox: Inbox) -> Steps:
    """Run a lane, and in its place each lane that it made possible and that belongs on this queue."""
    lane: Lane | None = work.lane
    while lane is not None:
        snapshot = yield Request(Needs.LOOK, Work(work.execution_id, lane))
        run = LaneRun(worker.current(), snapshot, lane, inbox) if snapshot else None
        lane = (yield from run.carry_out()) if run else None


def _resume(steps: Steps, answer: Any) -> Request | None:
    """Run a lane until it needs something. Return what, or None if it has ended."""
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


def _answer(asked: list[tuple[Steps, Request]]) -> Iterator[Answered]:
    """Ask the database for what lanes need, once for each kind of need."""
    calls: dict[Needs, Callable[[list[Any]], Sequence[Any]]] = {
        Needs.LOOK: look,
        Needs.CLAIMS: _claim,
        Needs.SETTLED: _settle,
    }
    for needs, call in calls.items():
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
                        yield from _answer([one])
                continue
            answers = [error]
        yield from zip((steps for steps, _ in alike), answers, strict=True)


def _settle(batches: Sequence[Batch]) -> list[Settled | Exception]:
    settled = settle(batches)
    follow_up(settled)
    return settled


def _claim(wanted: list[tuple[UUID, Sequence[Wanted]]]) -> list[list[Claim]]:
    # Two lanes may want the same firing: the first gets it.
    together: dict[UUID, dict[tuple[str, Path], Wanted]] = {}
    for execution_id, firings in wanted:
        its = together.setdefault(execution_id, {})
        for firing in firings:
            its.setdefault((firing.node_key, firing.path), firing)
    claims = leases.claim({one: list(its.values()) for one, its in together.items()}, worker=worker.current().name)
    places = {(claim.execution_id, claim.node_key, claim.path): claim for one in claims.values() for claim in one}
    return [
        [places.pop(place) for firing in firings if (place := (execution_id, firing.node_key, firing.path)) in places]
        for execution_id, firings in wanted
    ]


def _hear(inbox: Inbox) -> list[LaneRun]:
    """Wait for news, and take all there is: what ended together is settled together."""
    heard: dict[LaneRun, None] = {}
    while not heard or not inbox.empty():
        run, ended = inbox.get()
        run.hear(ended)
        heard[run] = None
    return list(heard)
