"""The hand-written Celery app: what an expert would write for these shapes, with results kept in Valkey alone."""

from __future__ import annotations

import os
import time

from celery import Celery

from benchmarks.cases import FIBO_N, WAIT_S
from benchmarks.fibo import fibo

#: The environment variables that tell the app, here and in its workers, where its broker and its results are.
BROKER_VARIABLE, BACKEND_VARIABLE = "BASELINE_BROKER", "BASELINE_BACKEND"

app = Celery(
    "baseline",
    broker=os.environ.get(BROKER_VARIABLE),
    backend=os.environ.get(BACKEND_VARIABLE),
    fixups=[],  # where DJANGO_SETTINGS_MODULE is set, Celery would load Django for an app that does not use it
)
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    task_default_queue="cheap",
    task_routes={"baseline.wait": {"queue": "waits"}},
    task_track_started=False,
    task_send_sent_event=False,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    worker_disable_rate_limits=True,
    broker_connection_retry_on_startup=True,
)


@app.task(name="baseline.noop")
def noop(value: int) -> int:
    """Pass on what came."""
    return value


@app.task(name="baseline.add_fibo")
def add_fibo(value: int) -> int:
    """Pass on what came, plus a small computation."""
    return value + fibo(FIBO_N)


@app.task(name="baseline.wait")
def wait(value: int) -> int:
    """Pass on what came, after a wait."""
    time.sleep(WAIT_S)
    return value


@app.task(name="baseline.join")
def join(values: list[int]) -> int:
    """Count what the branches brought."""
    return len(values)


@app.task(name="baseline.noop_chunk")
def noop_chunk(values: list[int]) -> list[int]:
    """Pass on several values."""
    return [noop.run(value) for value in values]


@app.task(name="baseline.join_chunks")
def join_chunks(chunks: list[list[int]]) -> int:
    """Count what the branches brought, in chunks."""
    return sum(map(len, chunks))
