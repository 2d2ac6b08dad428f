"""The hand-written Celery app as a system to measure: its workers, its canvases and how it waits for results."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from celery import chain, chord
from celery.canvas import Signature
from celery.exceptions import TimeoutError as ResultTimedOut
from celery.result import AsyncResult

from agentplatform.local.paths import ROOT
from agentplatform.local.supervisor import Service
from benchmarks import baseline_app as tasks
from benchmarks.cases import Case
from benchmarks.servers import Servers
from benchmarks.system import RUN_WITHIN_S, WrongResult

#: The quickest of what was tried (docs/benchmarks.md): two solo workers for what computes, threads for what waits.
WORKERS = (
    ("baseline-cheap1", "-Q", "cheap", "-P", "solo", "--prefetch-multiplier", "4"),
    ("baseline-cheap2", "-Q", "cheap", "-P", "solo", "--prefetch-multiplier", "4"),
    ("baseline-waits", "-Q", "waits", "-P", "threads", "-c", "100", "--prefetch-multiplier", "1"),
)
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING")


class Baseline:
    """Chains and chords by hand; nothing is durable but what Valkey keeps."""

    name = "baseline"

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._results: list[int] = []
        broker, backend = servers.redis_url(1), servers.redis_url(2)
        tasks.app.conf.update(broker_url=broker, result_backend=backend)
        environment = {**os.environ, tasks.BROKER_VARIABLE: broker, tasks.BACKEND_VARIABLE: backend}
        celery = [sys.executable, "-m", "celery", "-A", tasks.__name__, "worker", *QUIET]
        servers.run(
            *(
                Service(name=name, argv=[*celery, "-n", f"{name}@%h", *options], env=environment, cwd=ROOT)
                for name, *options in WORKERS
            )
        )

    def prepare(self, case: Case) -> None:
        """Nothing is kept between runs: each builds its canvas."""

    def run_once(self, case: Case) -> None:
        """Send all canvases of the case, then take every result."""
        sent = [_canvas(case).apply_async() for _ in range(case.executions)]
        deadline = time.monotonic() + RUN_WITHIN_S
        self._results = [self._take(result, deadline) for result in sent]

    def verify(self, case: Case) -> None:
        """Compare the results with what the case asks for."""
        if self._results != [case.expected] * case.executions:
            raise WrongResult(f"{self.name} gave {self._results[:3]} for {case.name}, not {case.expected}.")

    def rss_mb(self) -> float:
        """Return the memory of the workers."""
        return self._servers.rss_mb("baseline")

    def close(self) -> None:
        """Drop the connections; the workers end with the servers."""
        tasks.app.close()

    def _take(self, result: AsyncResult[int], deadline: float) -> int:
        try:
            # Without its parents: following them costs a GET for each task of the canvas.
            return result.get(timeout=max(deadline - time.monotonic(), 0.1), follow_parents=False)
        except ResultTimedOut:
            self._servers.check()
            raise


def _canvas(case: Case) -> Signature[Any]:
    if case.shape == "chain":
        return _chain(case)
    if case.chunk > 1:
        chunks = [list(range(start, start + case.chunk)) for start in range(0, case.size, case.chunk)]
        return chord([tasks.noop_chunk.s(chunk) for chunk in chunks], tasks.join_chunks.s())
    branch = tasks.wait if case.work == "wait" else tasks.noop
    header = [branch.s(item) for item in range(case.size)]
    if case.shape == "diamond":
        header = [branch.s() for _ in range(case.size)]
        return chain(_passing(tasks.noop.s(0)), chord(header, tasks.join.s()))
    # The worker that runs the waits also runs their join: it is awake already.
    return chord(header, tasks.join.s().set(queue="waits") if case.work == "wait" else tasks.join.s())


def _chain(case: Case) -> Signature[Any]:
    step = tasks.add_fibo if case.work == "fibo" else tasks.noop
    middle = [_passing(step.s()) for _ in range(case.size - 2)]
    return chain(_passing(step.s(0)), *middle, step.s())


def _passing(signature: Signature[Any]) -> Signature[Any]:
    """Store no result: a step of a chain hands its value on in the message of the next one."""
    signature.options["ignore_result"] = True
    return signature
