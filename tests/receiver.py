"""Receivers of what goes out, for tests: a real HTTP server that writes down what came, and answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from executions import own_subscriptions
from executions.models import OutgoingDelivery, Subscription
from executions.sending import Sender
from graphs.models import GraphVersion
from tests.factories import make_published
from tests.servers import wait_until


@dataclass(frozen=True)
class Came:
    """One request."""

    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def payload(self) -> Any:
        """What it tells."""
        return json.loads(self.body)

    @property
    def id(self) -> str:
        """By what it is known."""
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """What came, and what is answered."""

    url: str = ""
    came: list[Came] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"thanks"
    #: Called before it answers, by each request.
    before: Callable[[], object] = lambda: None

    @property
    def told(self) -> list[str]:
        """The events, in the order in which they came."""
        return [one.payload["type"] for one in self.came]


@contextmanager
def receiving(**fields: Any) -> Iterator[Receiver]:
    """Run a receiver for a `with` block."""
    receiver = Receiver(**fields)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.came.append(Came(headers, body, time.time()))
            receiver.before()
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            self.wfile.write(receiver.body)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()


def subscribe(url: str, version: GraphVersion | None = None, **fields: Any) -> tuple[Subscription, str]:
    """Return a new subscription of the owner of a version, and its secret."""
    from tests.blocks import node

    version = version or make_published([node("only", "test.source")])
    return own_subscriptions.create(owner_id=version.graph.owner_id, **{"name": "out", "url": url, **fields})


@contextmanager
def sending() -> Iterator[Callable[[], None]]:
    """Yield what sends all that is due, and waits until nothing is under way."""
    sender = Sender()

    def send_all() -> None:
        wait_until(lambda: sender.look(0.01) == 0, what="What was under way")

    try:
        yield send_all
    finally:
        sender.close()


def make_due(subscription: Subscription) -> None:
    """Let the next attempts of what is still tried come now."""
    OutgoingDelivery.objects.filter(subscription=subscription, status="PENDING").update(
        next_at="2020-01-01T00:00:00Z", leased_until=None
    )
