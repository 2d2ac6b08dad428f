"""Clients that send requests which were made before, each on a connection that stays open, and note how long each answer took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from benchmarks.system import WrongResult


@dataclass(slots=True)
class Posted:
    """What came of some requests: how often each status was answered, and the times in milliseconds."""

    statuses: dict[int, int] = field(default_factory=dict)
    times_ms: list[float] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def per_second(self) -> float:
        """Return how many answers came in a second."""
        return len(self.times_ms) / self.took_s

    def percentile_ms(self, share: float) -> float:
        """Return what so large a share of the answers took at most."""
        return sorted(self.times_ms)[min(int(len(self.times_ms) * share), len(self.times_ms) - 1)]


def as_request(path: str, body: bytes, headers: Mapping[str, str], *, port: int) -> bytes:
    """Return a POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", f"Host: localhost:{port}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in {"Content-Type": "application/json", **headers}.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def post_all(requests: Sequence[bytes], *, port: int, clients: int) -> Posted:
    """Send all requests by so many clients at a time.

    Raises:
        WrongResult: a connection ended before its answer.
    """
    posted = Posted()

    async def run() -> None:
        waiting = iter(requests)
        await asyncio.gather(*(_post(waiting, posted, port) for _ in range(clients)))

    began = time.perf_counter()
    asyncio.run(run())
    posted.took_s = time.perf_counter() - began
    return posted


async def _post(waiting: Iterator[bytes], posted: Posted, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for request in waiting:
            began = time.perf_counter()
            writer.write(request)
            status = await _read_answer(reader)
            posted.times_ms.append((time.perf_counter() - began) * 1000)
            posted.statuses[status] = posted.statuses.get(status, 0) + 1
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise WrongResult(f"A connection ended before its answer: {error}") from None
    finally:
        writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    _, _, length = head.partition("content-length:")
    await reader.readexactly(int(length.split("\r\n", 1)[0]))
    return HTTPStatus(int(head.split(" ", 2)[1])).value
