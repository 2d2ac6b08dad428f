"""Many deliveries in a short time, by senders who send again what was not taken, as real ones do."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agentplatform.local.ports import LOOPBACK
from tests.webhooks import Sender

CONNECTIONS = 64
#: Where the web has died, it is tried again after so long.
AGAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class Planned:
    """One request: what it is a delivery of, and what is wrong with it."""

    name: str
    number: int
    fault: str = ""


@dataclass
class Storm:
    """What was sent, and what was answered in the end."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    #: Of each delivery, the executions that its senders were told.
    executions: dict[str, set[str]] = field(default_factory=dict)
    #: In milliseconds, of each request that was taken.
    times_ms: list[float] = field(default_factory=list)
    #: How often somebody was told to come again, and whether he was told when.
    refused: int = 0
    without_retry_after: int = 0
    broken: int = 0

    def percentile_ms(self, share: float) -> float:
        """Return what so large a share of the answers took at most."""
        return sorted(self.times_ms)[min(int(len(self.times_ms) * share), len(self.times_ms) - 1)]


def plan(count: int, *, seed: int = 20) -> list[Planned]:
    """Return so many requests: three tenths of them duplicates, and of all one in twenty badly signed and one in twenty too old."""
    chance = random.Random(seed)
    bad, stale = count // 20, count // 20
    unique = round((count - bad - stale) * 0.7)
    planned = [Planned(f"delivery-{number}", number) for number in range(unique)]
    planned += [chance.choice(planned[:unique]) for _ in range(count - bad - stale - unique)]
    planned += [Planned(f"bad-{number}", number, "bad") for number in range(bad)]
    planned += [Planned(f"stale-{number}", number, "stale") for number in range(stale)]
    chance.shuffle(planned)
    return planned


def break_loose(sender: Sender, planned: Sequence[Planned], *, port: int, within_s: float, patience_s: float) -> Storm:
    """Send all of them, evenly over so many seconds, each until it is answered for good."""
    storm = Storm()
    asyncio.run(_send_all(storm, sender, planned, port, within_s, patience_s))
    return storm


async def _send_all(
    storm: Storm, sender: Sender, planned: Sequence[Planned], port: int, within_s: float, patience_s: float
) -> None:
    begun = time.monotonic()
    queue: asyncio.PriorityQueue[tuple[float, int, Planned]] = asyncio.PriorityQueue()
    for place, one in enumerate(planned):
        queue.put_nowait((begun + within_s * place / len(planned), place, one))
    left = [len(planned)]

    async def sending() -> None:
        line = _Line(port)
        while left[0]:
            try:
                due, place, one = queue.get_nowait()
            except asyncio.QueueEmpty:
                await asyncio.sleep(0.02)
                continue
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            assert time.monotonic() < begun + patience_s, f"{left[0]} are not answered after {patience_s:g} s"
            if again_s := await _send(storm, line, sender, one):
                queue.put_nowait((time.monotonic() + again_s * random.uniform(1.0, 1.5), place, one))
            else:
                left[0] -= 1
        line.close()

    await asyncio.gather(*(sending() for _ in range(CONNECTIONS)))


async def _send(storm: Storm, line: _Line, sender: Sender, one: Planned) -> float:
    """Send one. Return after how many seconds it is to be sent again; 0 if it was answered for good."""
    body = json.dumps({"number": one.number}).encode()
    at = time.time() - (360 if one.fault == "stale" else 0)
    headers = sender.headers(body, delivery_id=one.name, at=at)
    if one.fault == "bad":
        body = body.replace(b"number", b"nunber")
    began = time.perf_counter()
    try:
        status, answered, content = await line.post(sender.url, body, headers)
    except (OSError, asyncio.IncompleteReadError):
        storm.broken += 1
        line.close()
        return AGAIN_S
    if status in (429, 503):
        storm.refused += 1
        storm.without_retry_after += "retry-after" not in answered
        return float(answered.get("retry-after", 1))
    storm.statuses[one.fault, status] += 1
    if status in (200, 202):
        storm.times_ms.append((time.perf_counter() - began) * 1000)
        storm.executions.setdefault(one.name, set()).add(content["execution_id"])
    return 0.0


class _Line:
    """One connection, opened when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        """Send a POST and return what was answered."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(LOOPBACK, self._port)
        reader, writer = self._streams
        sent = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        answered = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        content = await reader.readexactly(int(answered["content-length"]))
        return int(first.split(" ", 2)[1]), answered, json.loads(content)

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
