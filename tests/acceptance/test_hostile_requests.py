"""What no client sends, byte by byte, to a web process as it runs: each is answered, nothing waits for ever, and nobody else notices."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from executions.models import Execution
from tests.factories import make_key, make_user
from tests.servers import Web, running_web
from tests.webhooks import Sender, make_listener, make_sender

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

STALLED = 40
ENVIRONMENT = {"AGENTPLATFORM_WEBHOOKS_AT_ONCE": "4", "AGENTPLATFORM_EXTRA_BLOCKS": "tests.blocks:TEST_BLOCKS"}


@pytest.fixture
def web() -> Iterator[Web]:
    with running_web(extra_env=ENVIRONMENT) as running:
        yield running


def ask(web: Web, head: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Send these bytes. Return the status and the body of the answer, which ends with the connection."""
    lines = [head, "Host: localhost", "Connection: close", *(f"{name}: {value}" for name, value in headers.items())]
    with socket.create_connection(("127.0.0.1", web.port), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer, f"No answer to {head!r}"
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split(b" ", 2)[1]), rest


def pieces(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def deliver(web: Web, sender: Sender, payload: Any) -> int:
    body = json.dumps(payload).encode()
    named = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return ask(web, f"POST {sender.url} HTTP/1.1", body, **named, **sender.headers(body, delivery_id=str(payload)))[0]


def test_each_is_answered_and_nobody_else_notices(web):
    owner = make_user()
    version, sender = make_listener("given", owner=owner), make_sender(make_listener("payload", owner=owner))
    key = {"Authorization": f"Bearer {make_key(owner)}"}
    start = json.dumps({"version": str(version.pk), "inputs": {"given": "in pieces"}}).encode()
    as_json, in_pieces = {"Content-Type": "application/json"}, {"Transfer-Encoding": "chunked"}

    with ExitStack() as stalled:
        for _ in range(STALLED):
            one = stalled.enter_context(socket.create_connection(("127.0.0.1", web.port), timeout=60))
            one.sendall(f"POST {sender.url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{{".encode())
        taken = [deliver(web, sender, number) for number in range(3)]
        taken_in_pieces = ask(
            web, "POST /api/v1/executions/ HTTP/1.1", pieces(start[:7], start[7:]), **key, **as_json, **in_pieces
        )[0]

    assert (taken, taken_in_pieces) == ([202, 202, 202], 202)
    assert {"given": "in pieces"} in Execution.objects.values_list("inputs", flat=True)
    at = "/api/v1/executions/"
    answers = {
        "no length is a number": ask(web, f"POST {at} HTTP/1.1", start, **key, **as_json, **{"Content-Length": "-5"}),
        "a piece of no size": ask(web, f"POST {at} HTTP/1.1", b"zz\r\nx\r\n", **key, **as_json, **in_pieces),
        "packed": ask(web, f"POST {at} HTTP/1.1", pieces(b"\x1f\x8b\x08"), **key, **as_json, **in_pieces),
        "NUL in a version": ask(web, "GET /api/schema/?version=%00 HTTP/1.1", **key),
        "NUL in a cursor": ask(web, f"GET {at}?cursor=%00 HTTP/1.1", **key),
        "an id of no event": ask(web, f"GET {at}?a HTTP/1.1", **key, **{"Last-Event-ID": "\xff"}),
        "an address of 60,000": ask(web, f"GET /{'a' * 60_000} HTTP/1.1", **key),
        "another method": ask(web, f"PROPFIND {at} HTTP/1.1", **key),
        "no method": ask(web, f"FOO\x01 {at} HTTP/1.1", **key),
        "a key that is none": ask(web, f"GET {at} HTTP/1.1", Authorization="Bearer \xff\xfe"),
        "a method beside the method": ask(web, f"DELETE {at} HTTP/1.1", **key, **{"X-HTTP-Method-Override": "GET"}),
        "up and out": ask(web, "GET /static/%2e%2e/%2e%2e/manage.py HTTP/1.1", **key),
    }
    assert {name: status for name, (status, _) in answers.items() if status >= 500} == {}
    assert answers["a method beside the method"][0] == 405
    assert answers["NUL in a version"][0] == 200
    assert "Traceback" not in web.output()
