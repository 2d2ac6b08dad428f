"""PostgreSQL and Valkey of one benchmark run: the local stack's own, durable, on data that is removed at the end."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agentplatform.local.postgres import Postgres
from agentplatform.local.supervisor import Running, Service, Supervisor
from agentplatform.local.valkey import Valkey
from benchmarks import memory


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of this run, and the supervisor that also keeps the workers of what is measured."""

    folder: Path
    supervisor: Supervisor
    postgres: Postgres
    valkey: Valkey

    @property
    def database_url(self) -> str:
        """Return the address of the database, as settings and libpq take it."""
        return self.postgres.url

    def redis_url(self, number: int) -> str:
        """Return the address of one numbered database of Valkey."""
        return f"{self.valkey.url.rpartition('/')[0]}/{number}"

    def run(self, *services: Service) -> None:
        """Start workers and wait until they are ready."""
        self.supervisor.start(*services)

    def check(self) -> None:
        """Look whether everything still runs.

        Raises:
            RuntimeError: a process has died; the message carries the end of its log.
        """
        for running in self._running():
            if running.process.poll() is not None:
                name = running.service.name
                raise RuntimeError(f"{name} ended with {running.process.returncode}:\n{self.supervisor.tail(name)}")

    @contextmanager
    def paused(self, *names: str) -> Iterator[None]:
        """Let these processes stand still for a `with` block, with all that belongs to them."""
        pids = [running.process.pid for running in self._running() if running.service.name in names]
        for pid in pids:
            os.killpg(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.killpg(pid, signal.SIGCONT)

    def rss_mb(self, prefix: str) -> float:
        """Return the memory of the processes whose names begin so, with their children."""
        pids = [running.process.pid for running in self._running() if running.service.name.startswith(prefix)]
        return sum(memory.family_rss_mb(pid) for pid in pids)

    def _running(self) -> Iterator[Running]:
        for batch in self.supervisor.batches:
            yield from batch


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Start both servers, and stop them with everything that was started beside them."""
    folder = Path(tempfile.mkdtemp(prefix="agentplatform-bench-"))
    folder.chmod(0o711)  # PostgreSQL's own user passes through to its data
    supervisor = Supervisor(folder / "logs", say=lambda text: print(text, file=sys.stderr))
    supervisor.logs.mkdir(mode=0o700)
    servers = Servers(folder, supervisor, Postgres(folder / "postgres"), Valkey(folder / "valkey"))
    try:
        supervisor.start(servers.postgres.service(), servers.valkey.service())
        servers.postgres.create_database()
        yield servers
    finally:
        supervisor.stop()
        servers.postgres.forget()
        shutil.rmtree(folder, ignore_errors=True)
