"""What happened outside: an HTTP server that writes down every effect before it answers, so that no kill can take one back."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

from agentplatform.local.ports import LOOPBACK

#: Where blocks find it.
SINK_URL = "AGENTPLATFORM_TEST_SINK"


@dataclass(frozen=True, slots=True)
class Effect:
    """One call of a block: for which firing, from which process, when."""

    key: str
    block: str
    pid: int
    at: float

    @property
    def execution_id(self) -> UUID:
        """Return whose it was."""
        return UUID(self.key.partition(":")[0])


class Sink:
    """Every effect so far, in a file that survives this process too."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.url = ""
        self._effects: list[Effect] = []
        self._changed = threading.Condition()
        self._may_answer = threading.Event()
        self._may_answer.set()
        self._descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def record(self, effect: Effect) -> None:
        """Keep an effect, on the disk first; then let whoever asked know, unless answers are held back."""
        with self._changed:
            os.write(self._descriptor, json.dumps([effect.key, effect.block, effect.pid, effect.at]).encode() + b"\n")
            os.fsync(self._descriptor)
            self._effects.append(effect)
            self._changed.notify_all()
        self._may_answer.wait(120)

    def all(self) -> list[Effect]:
        """Return every effect, in the order in which they came."""
        with self._changed:
            return list(self._effects)

    def forget(self) -> None:
        """Count from nothing again; the file keeps all."""
        with self._changed:
            self._effects.clear()

    def counts(self, ids: Iterable[UUID] | None = None) -> Counter[str]:
        """Return how often each firing had its effect; of some executions, if these are given."""
        mine = None if ids is None else set(ids)
        return Counter(effect.key for effect in self.all() if mine is None or effect.execution_id in mine)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Answer nobody for a `with` block: every block that has had its effect stands still right behind it."""
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()

    def wait_for(self, count: int, *, ids: Iterable[UUID], within_s: float = 30.0) -> None:
        """Wait until these executions have had so many effects."""
        mine = set(ids)
        with self._changed:
            came = self._changed.wait_for(
                lambda: sum(effect.execution_id in mine for effect in self._effects) >= count, within_s
            )
        assert came, f"Fewer than {count} effects within {within_s:g} s."

    def close(self) -> None:
        """Close the file."""
        self._may_answer.set()
        os.close(self._descriptor)


@contextmanager
def running_sink(file: Path) -> Iterator[Sink]:
    """Serve a sink on a free port for a `with` block."""
    sink = Sink(file)

    class Handler(_Handler):
        target = sink

    server = _Server((LOOPBACK, 0), Handler)
    sink.url = f"http://{LOOPBACK}:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        sink.close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    block_on_close = False  # a connection kept alive by a worker would be waited for


class _Handler(BaseHTTPRequestHandler):
    target: Sink
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            key = self.headers["Idempotency-Key"]
            self.target.record(Effect(key, body["block"], body["pid"], time.time()))
            self.send_response(204)
            self.send_header("Content-Length", "0")
            self.end_headers()
        except (ConnectionError, ValueError):
            self.close_connection = True  # whoever asked was killed: that is often the very point of the test

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a test reads the effects."""
