"""What it costs to take a delivery: our webhooks beside a bare DRF view that inserts one row, each on one uvicorn process."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any
from uuid import uuid4

from agentplatform.local.paths import ROOT
from agentplatform.local.ports import answers, free_port
from agentplatform.local.supervisor import Service
from benchmarks.cases import Case
from benchmarks.posting import Posted, as_request, post_all
from benchmarks.servers import Servers
from benchmarks.system import RUN_WITHIN_S, WrongResult

CLIENTS = 8
WORKERS = ("ours-default", "ours-cpu", "ours-beat")
#: So that each is sent, and none stands in line because nobody executes.
LIMITS = {"AGENTPLATFORM_MAX_RUNNING_PER_OWNER": "2000", "AGENTPLATFORM_MAX_IN_FLIGHT": "4000"}
PAYLOAD = {
    "event": "order.created",
    "order": {"id": 1042, "total": "18.50", "items": [{"name": "Green tea", "count": 2}] * 5},
}


class Accepting:
    """Takes deliveries over HTTP: those of a webhook, or rows of the bare view."""

    def __init__(self, name: str, servers: Servers, *, is_bare: bool) -> None:
        self.name = name
        self.posted = Posted()
        self._is_bare = is_bare
        self._servers = servers
        self._port = free_port()
        self._requests: list[bytes] = []
        self._sender: Any = None

    def prepare(self, case: Case) -> None:
        """Start the web, make what it writes to, and write the requests of the first run."""
        environment = os.environ | {"AGENTPLATFORM_DB_CONN_MAX_AGE_S": "0"} | LIMITS
        if self._is_bare:
            _create_table()
            environment["DJANGO_SETTINGS_MODULE"] = "benchmarks.bare_settings"
        else:
            self._sender = _make_webhook()
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
        if self.posted.statuses != {201 if self._is_bare else 202: case.size}:
            raise WrongResult(f"{self.name} answered {self.posted.statuses} for {case.name}.")
        if not self._is_bare:
            self._wait_for_ends()
        self._write_requests(case)

    def told(self) -> str:
        """Return what its last run was like for who sends."""
        times_ms = [self.posted.percentile_ms(share) for share in (0.5, 0.99)]
        return "{} clients, p50 {:.0f} ms, p99 {:.0f} ms".format(CLIENTS, *times_ms)

    def rss_mb(self) -> float:
        """Return nothing: the web is counted with what it belongs to."""
        return 0.0

    def close(self) -> None:
        """Leave the web to the end of the servers."""

    def _is_up(self) -> bool:
        # The bare project has no page but its own.
        return answers(self._port, "/healthz") if not self._is_bare else _listens(self._port)

    def _wait_for_ends(self) -> None:
        from executions.engine.status import FINAL
        from executions.models import Execution

        deadline = time.monotonic() + RUN_WITHIN_S
        while left := Execution.objects.exclude(status__in=FINAL).count():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} executions have not ended after {RUN_WITHIN_S:g} s.")
            time.sleep(0.05)

    def _write_requests(self, case: Case) -> None:
        self._requests = [self._request(number) for number in range(case.size)]

    def _request(self, number: int) -> bytes:
        if self._is_bare:
            return as_request("/rows", json.dumps({"value": PAYLOAD}).encode(), {}, port=self._port)
        from integrations import signatures

        webhook, secret = self._sender
        body = json.dumps({**PAYLOAD, "number": number}).encode()
        headers = signatures.sign(body, secret, webhook.scheme, at=time.time(), delivery_id=str(uuid4()))
        return as_request(webhook.path, body, headers, port=self._port)


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _create_table() -> None:
    from django.db import connection

    from benchmarks.bare import CREATE_TABLE

    with connection.cursor() as cursor:
        cursor.execute(CREATE_TABLE)


def _make_webhook() -> tuple[Any, str]:
    from django.contrib.auth import get_user_model

    from executions import own_webhooks
    from graphs import services
    from graphs.documents import GraphModel, LinkModel, NodeModel

    owner = get_user_model()._default_manager.create(username="bench of webhooks")
    given = NodeModel(id="payload", block_id="input-block", inputs={"name": "payload"})
    out = NodeModel(id="out", block_id="output-block", inputs={"name": "result"})
    link = LinkModel(source_id="payload", source_name="output", sink_id="out", sink_name="input")
    graph = services.create(owner_id=owner.pk, document=GraphModel(name="webhook", nodes=[given, out], links=[link]))
    services.publish(graph)
    return own_webhooks.create(graph=graph, name="bench", scheme="github")
