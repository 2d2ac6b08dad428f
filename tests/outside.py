"""The outside world of the blocks' tests: real HTTP servers on this machine, and the door opened to them alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from pytest_httpserver import HTTPServer

from agentplatform.lib import http
from agentplatform.lib.addresses import AllowedHosts
from blocks.sdk import Block
from blocks.sdk.testing import KnownCredentials, MemoryContext

Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def allow_only(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Let the door open to these private hosts until the test ends."""
    monkeypatch.setattr(http, "_allowed", AllowedHosts.parse(hosts))


def address_of(server: HTTPServer) -> str:
    """Return the address of a test server, without a slash at its end."""
    return server.url_for("").rstrip("/")


def host_of(server: HTTPServer) -> str:
    """Return `host:port` of a test server, as the list of allowed hosts has it."""
    return urlsplit(address_of(server)).netloc


def script(server: HTTPServer, answers: Sequence[Mapping[str, Any]]) -> None:
    """Make the server give these answers, in this order, to exactly these requests."""
    for answer in answers:
        path, _, query = str(answer["path"]).partition("?")
        expected = server.expect_ordered_request(path, method=answer.get("method", "GET"), query_string=query or None)
        status, headers = answer.get("status", 200), answer.get("headers", {})
        if "json" in answer:
            text = json.dumps(answer["json"])
            expected.respond_with_data(text, status=status, headers=headers, content_type="application/json")
        else:
            expected.respond_with_data(answer.get("text", ""), status=status, headers=headers)


def context_of(block: type[Block], address: str = "", waits: Sequence[Mapping[str, Any]] = ()) -> MemoryContext:
    """Return a context in which every provider of the block is the server at `address`, and this comes for its waits."""
    credentials = {provider: KnownCredentials(base_url=address) for provider in block.credentials_required}
    return MemoryContext(credentials=credentials, answers={f"wait-{number}": came for number, came in enumerate(waits)})


@asynccontextmanager
async def raw_server(respond: Respond) -> AsyncIterator[int]:
    """Serve bytes as `respond` writes them, for answers that no proper server gives; yields the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await respond(reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has seen enough
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
