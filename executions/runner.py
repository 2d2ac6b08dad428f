"""Run the lanes of a message side by side on the thread that got it, and what follows from them here."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

from executions import worker
from executions.engine.compile import Lane
from executions.errors import LeaseLost, NotRunning
from executions.lane_run import Inbox, LaneRun
from executions.messages import Work

logger = logging.getLogger(__name__)

#: A lane under way. It yields its run when that waits for a block, and is resumed once something was heard.
Steps = Iterator[LaneRun]


def run_lanes(work: Sequence[Work]) -> None:
    """Run lanes and whatever follows from them here. Never raises: the outcome is in Postgres."""
    inbox: Inbox = SimpleQueue()
    waiting: dict[LaneRun, Steps] = {}
    for one in work:
        _advance(_follow(one, inbox), waiting)
    while waiting:
        for run in _hear(inbox):
            if run in waiting:
                _advance(waiting.pop(run), waiting)


def _follow(work: Work, inbox: Inbox) -> Steps:
    """Run a lane, and in its place each lane that it made possible and that belongs on this queue."""
    here = worker.current()
    lane: Lane | None = work.lane
    while lane is not None:
        run = worker.patiently(LaneRun.begin, here, work.execution_id, lane, inbox)
        lane = (yield from run.carry_out()) if run else None


def _advance(steps: Steps, waiting: dict[LaneRun, Steps]) -> None:
    """Run a lane until it has to wait, or has ended."""
    try:
        run = next(steps, None)
    except (LeaseLost, NotRunning) as reason:
        logger.info("Left an execution alone: %s", reason.message)
    except Exception:
        # Its leases run out, and reconcile launches it again.
        logger.exception("A lane broke off")
    else:
        if run is not None:
            waiting[run] = steps


def _hear(inbox: Inbox) -> list[LaneRun]:
    """Wait for news, and take all there is: what ended together is settled together."""
    heard: dict[LaneRun, None] = {}
    while not heard or not inbox.empty():
        run, ended = inbox.get()
        run.hear(ended)
        heard[run] = None
    return list(heard)
