"""`python -m benchmarks.readers`: 500 readers follow executions in one web process. How much memory for each, and how late is it told?"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agentplatform.local.paths import ROOT
from agentplatform.local.ports import answers, free_port
from agentplatform.local.supervisor import Service
from benchmarks import memory
from benchmarks.cases import Case
from benchmarks.flood import Late
from benchmarks.servers import Servers, running_servers

READERS = 500
#: So many of them follow the same execution; the others one each.
CROWD = 100
GRAPH = Case("readers", "chain", 10, work="wait", wait_s=0.5)
#: So many come at the same time: each asks the database who it is.
AT_ONCE = 20
SETTLE_S = 3.0
ALL_WITHIN_S = 240

#: How many megabytes, threads and connections the web has.
State = tuple[float, int, int]


class Reader:
    """One open stream, and what came on it."""

    def __init__(self, port: int, execution_id: str, token: str) -> None:
        self._port, self._execution_id, self._token = port, execution_id, token
        self.is_open = asyncio.Event()
        self.numbers: list[int] = []
        #: How long after it had happened each event was told.
        self.late_s: list[float] = []

    async def follow(self) -> None:
        """Read until the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        path = f"/api/v1/executions/{self._execution_id}/events/"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._token}\r\n\r\n".encode())
        await reader.readuntil(b"retry: ")
        self.is_open.set()
        while line := await reader.readline():
            if line.startswith(b"data: "):
                self._hear(json.loads(line[6:]))
        writer.close()

    def _hear(self, event: dict[str, str]) -> None:
        self.numbers.append(int(event["id"]))
        if event["type"] != "execution.queued":  # told as soon as somebody asks
            self.late_s.append(time.time() - datetime.fromisoformat(event["at"]).timestamp())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers", description=__doc__)
    parser.add_argument("--readers", type=int, default=READERS)
    options = parser.parse_args(arguments)
    with running_servers() as servers:
        tables = asyncio.run(asyncio.wait_for(_measure(servers, options.readers), ALL_WITHIN_S))
    for table in tables:
        Console().print(table)
    return 0


async def _measure(servers: Servers, count: int) -> list[Table]:
    ours = await asyncio.to_thread(Late, servers)
    token, ids = await asyncio.to_thread(_start, ours, max(1, count - CROWD + 1))
    port, look = await asyncio.to_thread(_serve, ours, servers)
    readers = [Reader(port, one, token) for one in ([ids[0]] * CROWD + ids[1:])[:count]]
    states = {"nobody follows": look()}
    following = []
    for start in range(0, count, AT_ONCE):
        fresh = readers[start : start + AT_ONCE]
        following += [asyncio.create_task(one.follow()) for one in fresh]
        await asyncio.gather(*(one.is_open.wait() for one in fresh))
    await asyncio.sleep(SETTLE_S)
    states[f"{count} follow {len(ids)} executions that wait for a worker"] = look()
    await asyncio.to_thread(ours.work)
    began = time.perf_counter()
    while not all(task.done() for task in following):
        states[f"{count} are told"] = max(states.get(f"{count} are told", look()), look())
        await asyncio.wait(following, timeout=1.0)
    took_s = time.perf_counter() - began
    await asyncio.sleep(SETTLE_S)
    states["nobody follows any more"] = look()
    assert all(one.numbers == list(range(1, len(one.numbers) + 1)) for one in readers)
    return [_states(states, count), _lateness(readers, took_s)]


def _start(ours: Late, count: int) -> tuple[str, list[str]]:
    from django.contrib.auth import get_user_model

    from access import keyring
    from access.scopes import Scope

    owner = get_user_model()._default_manager.get()
    ours.prepare(GRAPH)
    for _ in range(count):
        ours._start(GRAPH)
    from executions.models import Execution

    ids = [str(one) for one in Execution.objects.order_by("id").values_list("id", flat=True)]
    return keyring.issue(owner_id=owner.pk, name="readers", scopes=[Scope.EXECUTIONS_READ])[1], ids


def _serve(ours: Late, servers: Servers) -> tuple[int, Callable[[], State]]:
    """Start the web. Return where it answers, and what looks how it is."""
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "agentplatform.asgi:application", f"--port={port}", "--log-level=warning"]
    environment = ours._environment() | {"DATABASE_URL": f"{servers.database_url}&application_name=web"}
    web = Service(name="web", argv=argv, env=environment, cwd=ROOT, is_ready=lambda: answers(port, "/healthz"))
    servers.run(web)
    pid = next(one.process.pid for one in servers._running() if one.service.name == "web")
    connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'web'"

    def look() -> State:
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
        return memory.family_rss_mb(pid), threads, ours._look.execute(connections).fetchall()[0][0]

    return port, look


def _states(states: dict[str, State], readers: int) -> Table:
    table = Table("", "memory, MB", "threads", "database connections")
    for name, (megabytes, threads, connections) in states.items():
        table.add_row(name, f"{megabytes:.0f}", str(threads), str(connections))
    before, *_, during, _ = (state[0] for state in states.values())
    table.caption = f"{(during - before) * 1024 / readers:.0f} kB a reader"
    return table


def _lateness(readers: Sequence[Reader], took_s: float) -> Table:
    late = sorted(one for reader in readers for one in reader.late_s)
    table = Table("events told", "in", "late, median", "late, p99", "lost or doubled")
    told = sum(len(reader.numbers) for reader in readers)
    p99 = late[int(len(late) * 0.99)]
    table.add_row(f"{told:,}", f"{took_s:.1f} s", f"{statistics.median(late):.2f} s", f"{p99:.2f} s", "none")
    return table


if __name__ == "__main__":
    sys.exit(main())
