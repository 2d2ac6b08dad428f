"""What it costs to take something over HTTP: a door of ours beside a bare DRF view that inserts one row, each on one uvicorn process."""

from __future__ import annotations

import os
import sys
import time

from agentplatform.local.paths import ROOT
from agentplatform.local.ports import answers, free_port
from agentplatform.local.supervisor import Service
from benchmarks.cases import Case
from benchmarks.doors import Door
from benchmarks.posting import Posted, post_all
from benchmarks.servers import Servers
from benchmarks.system import RUN_WITHIN_S, WrongResult

CLIENTS = 8
WORKERS = ("ours-default", "ours-cpu", "ours-beat")
LIMITS = {
    # So that each is sent, and none stands in line because nobody executes.
    "AGENTPLATFORM_MAX_RUNNING_PER_OWNER": "2000",
    "AGENTPLATFORM_MAX_IN_FLIGHT": "4000",
    # They are counted as ever; what is measured is more than one key may usually ask.
    "AGENTPLATFORM_REQUESTS_PER_MINUTE": "1000000",
}


class Accepting:
    """Takes what eight clients send to a door."""

    def __init__(self, name: str, servers: Servers, door: Door) -> None:
        self.name = name
        self.posted = Posted()
        self._door = door
        self._servers = servers
        self._port = free_port()
        self._requests: list[bytes] = []

    def prepare(self, case: Case) -> None:
        """Start the web, make what it writes to, and write the requests of the first run."""
        self._door.prepare()
        environment = os.environ | {"AGENTPLATFORM_DB_CONN_MAX_AGE_S": "0"} | LIMITS
        if self._door.settings:
            environment["DJANGO_SETTINGS_MODULE"] = self._door.settings
        serve = ["uvicorn", "agentplatform.asgi:application", "--host=127.0.0.1", f"--port={self._port}"]
        self._servers.run(
            Service(
                name=f"{self.name}-web-{case.name}",
                argv=[sys.executable, "-m", *serve, "--no-access-log"],
                env=environment,
                cwd=ROOT,
                is_ready=lambda: self._is_up(),
            )
        )
        self._write_requests(case)

    def run_once(self, case: Case) -> None:
        """Send all of them, eight at a time, while nobody executes what they start."""
        with self._servers.paused(*WORKERS):
            self.posted = post_all(self._requests, port=self._port, clients=CLIENTS)

    def verify(self, case: Case) -> None:
        """Look whether each was taken, let what was started end, and write those of the next run."""
        if self.posted.statuses != {self._door.accepted: case.size}:
            raise WrongResult(f"{self.name} answered {self.posted.statuses} for {case.name}.")
        if self._door.starts:
            self._wait_for_ends()
        self._write_requests(case)

    def told(self) -> str:
        """Return what its last run was like for who sends."""
        p50, p99 = (self.posted.percentile_ms(share) for share in (0.5, 0.99))
        return f"{self.posted.per_second:.0f} accepted a second, {CLIENTS} clients, p50 {p50:.0f} ms, p99 {p99:.0f} ms"

    def rss_mb(self) -> float:
        """Return nothing: the web is counted with what it belongs to."""
        return 0.0

    def close(self) -> None:
        """Leave the web to the end of the servers."""

    def _is_up(self) -> bool:
        # The bare project has no page but its own.
        return _listens(self._port) if self._door.settings else answers(self._port, "/healthz")

    def _wait_for_ends(self) -> None:
        from executions.engine.status import FINAL
        from executions.models import Execution

        deadline = time.monotonic() + RUN_WITHIN_S
        while left := Execution.objects.exclude(status__in=FINAL).count():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} executions have not ended after {RUN_WITHIN_S:g} s.")
            time.sleep(0.05)

    def _write_requests(self, case: Case) -> None:
        self._requests = [self._door.request(number, port=self._port) for number in range(case.size)]


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
