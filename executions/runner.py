"""Run the lanes of a message side by side on the thread that got it, and what follows from them here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from executions import launch, sub_graphs, worker
from executions.drive import OF_LANES, Drive, follow
from executions.messages import Work
from executions.route import Route

#: A process that is to end sends on what it still gets, no faster than this: it may get it again.
PAUSE_S = 0.5


def run_lanes(work: Sequence[Work]) -> None:
    """Run lanes and whatever follows from them here. Never raises: the outcome is in Postgres."""
    if worker.current().is_closing:
        # What their canvases send on now is too early.
        launch.send_lanes([Work(one.execution_id, replace(one.lane, covered=())) for one in work])
        time.sleep(PAUSE_S)
        return
    drive, route = Drive(OF_LANES), Route(sub_graphs=sub_graphs.current)
    for one in work:
        drive.begin(follow(one, drive.inbox, route))
    drive.run()
