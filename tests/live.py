"""Reading live events as a client does that knows nothing of us: over HTTP/1.1, line by line."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.factories import make_key
from tests.servers import Web

ENDS = {"execution.succeeded", "execution.failed", "execution.cancelled", "execution.budget_exceeded"}


@dataclass
class Stream:
    """One open stream of server-sent events."""

    response: http.client.HTTPResponse
    #: The lines that say nothing: how a stream shows that it is still there.
    comments: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """Return the status of the answer."""
        return self.response.status

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield events until the server ends the stream; each with `number`, what the browser would come back with, if it has one."""
        found: dict[str, str] = {}
        for raw in self.response:
            line = raw.decode().rstrip("\n")
            if line.startswith(":"):
                self.comments.append(line)
            elif line:
                name, _, value = line.partition(": ")
                found[name] = value
            elif "data" in found:
                event = json.loads(found["data"])
                assert found["event"] == event["type"]
                yield event | ({"number": int(found["id"])} if "id" in found else {})
                found = {}
            else:
                found = {}


def path_of(execution_id: UUID) -> str:
    """Return where the events of an execution are."""
    return f"/api/v1/executions/{execution_id}/events/"


def token_of(user: Any) -> str:
    """Return what proves who asks."""
    return make_key(user)


@contextmanager
def stream(
    web: Web, path: str, token: str, *, last: int | None = None, timeout_s: float = 60.0, small: bool = False
) -> Iterator[Stream]:
    """Open a stream, after the event that was the last; a `small` one holds next to nothing on its way."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=timeout_s)
    if small:
        connection.sock = socket.socket()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sock.settimeout(timeout_s)
        connection.sock.connect(("127.0.0.1", web.port))
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    connection.request("GET", path, headers=headers | ({} if last is None else {"Last-Event-ID": str(last)}))
    try:
        yield Stream(connection.getresponse())
    finally:
        connection.close()


def get(web: Web, path: str, token: str = "", **headers: str) -> tuple[int, Any]:
    """Ask once. Return the status, and what the JSON says if there is any."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=90)
    try:
        connection.request("GET", path, headers=({"Authorization": f"Bearer {token}"} if token else {}) | headers)
        response = connection.getresponse()
        body = response.read()
        return response.status, json.loads(body) if body else None
    finally:
        connection.close()
