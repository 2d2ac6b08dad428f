"""An OpenAI-compatible server that misbehaves as it is told: streams, cuts, drips, broken JSON. One step for each request."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

Step = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Script:
    """What the server does next, and what it was asked."""

    steps: list[Step]
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    #: Set once a caller has gone before its answer ended.
    left: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def scripted(*steps: Step) -> AsyncIterator[Script]:
    """Serve these steps in order; `script.url` ends in /v1."""
    script = Script(list(steps))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            script.heads.append(head)
            script.bodies.append(json.loads(await reader.readexactly(_length(head))))
            await script.steps.pop(0)(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            script.left.set()
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield script
    finally:
        server.close()


@contextmanager
def serving(*steps: Step) -> Iterator[Script]:
    """Do the same on a thread, for what runs on an event loop of its own."""
    loop, serves = asyncio.new_event_loop(), scripted(*steps)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        script = asyncio.run_coroutine_threadsafe(serves.__aenter__(), loop).result(10)
        yield script
        asyncio.run_coroutine_threadsafe(serves.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def whole(content: Any = "Tea", *, usage: dict[str, Any] | None = None, finish: str = "stop", **message: Any) -> Step:
    """Answer at once."""
    choice = {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return answering(json.dumps({"choices": [choice], **({"usage": usage} if usage else {})}))


def answering(text: str, *, status: int = 200, headers: str = "") -> Step:
    """Answer with this text."""

    async def step(writer: asyncio.StreamWriter) -> None:
        body = text.encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)

    return step


def refusing(status: int, *, message: str = "No", code: str | None = None, headers: str = "") -> Step:
    """Answer with an error, as the provider words it."""
    return answering(json.dumps({"error": {"message": message, "code": code}}), status=status, headers=headers)


def pieces(
    *events: Any, is_cut: bool = False, pause: Callable[[], Awaitable[Any]] | None = None, is_stuck: bool = False
) -> Step:
    """Stream these events; then end, break off, or say nothing more. `pause` comes before each."""

    async def step(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in events:
            if pause:
                await pause()
            _write(writer, event if isinstance(event, str) else json.dumps(event))
            await writer.drain()
        if is_stuck:
            await asyncio.Event().wait()
        if not is_cut:
            _write(writer, "[DONE]")
            writer.write(b"0\r\n\r\n")

    return step


def text(content: str, finish: str | None = None) -> dict[str, Any]:
    """Return the event of a piece of text."""
    return delta({"content": content}, finish)


def delta(change: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    """Return the event of a piece of anything."""
    return {"choices": [{"index": 0, "delta": change, "finish_reason": finish}]}


def used(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    """Return the event at the end that says what was used."""
    return {"choices": [], "usage": {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}}


def _write(writer: asyncio.StreamWriter, data: str) -> None:
    line = f"data: {data}\n\n".encode()
    writer.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")


def _length(head: str) -> int:
    lines = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    return int(lines.get("content-length", 0))
