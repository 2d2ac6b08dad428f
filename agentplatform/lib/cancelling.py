"""For who waits on the client of Redis: it may swallow a cancellation, and answer as if nobody had asked to stop."""

from __future__ import annotations

import asyncio


def end_if_cancelled() -> None:
    """End the task that runs, if it was told to end meanwhile.

    Raises:
        CancelledError: it was.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError
