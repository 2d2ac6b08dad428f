"""The doors for Celery: each task is one call."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from executions import messages, reconcile, runner, worker


@shared_task(name=messages.TASK)
def run_segment(*, version: int, queue: str, work: list[list[Any]], **_: object) -> None:
    """Claim, run and settle the segments of some lanes. Never raises for what they do: the outcome is in Postgres."""
    runner.run_lanes(messages.read(version=version, queue=queue, work=work))


@shared_task(name="executions.reconcile")
def reconcile_executions(**_: object) -> int:
    """Launch again what nothing will carry on by itself. Return how many executions that were."""
    return worker.patiently(reconcile.reconcile)


@shared_task(name="executions.ensure_partitions")
def ensure_partitions(**_: object) -> None:
    """Create the coming months' partitions."""
    worker.patiently(reconcile.ensure_partitions)
