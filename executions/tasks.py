"""The doors for Celery: each task is one call."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from executions import messages, runner


@shared_task(name=messages.TASK)
def run_segment(*, version: int, **content: Any) -> None:
    """Claim, run and settle the segments of some lanes. Never raises for what they do: the outcome is in Postgres."""
    runner.run_lanes(messages.read(version=version, **content))
