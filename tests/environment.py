"""The servers of one test run: planned when the settings are read, started when a test first needs them."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from agentplatform.local.paths import LOCAL
from agentplatform.local.postgres import Postgres, forget_sockets
from agentplatform.local.stack import local_environment
from agentplatform.local.supervisor import Service, Supervisor
from agentplatform.local.valkey import Valkey

TEST_ENVIRONMENT = {
    "AGENTPLATFORM_ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
    "AGENTPLATFORM_ALLOWED_PRIVATE_HOSTS": "127.0.0.1,localhost",
    "AGENTPLATFORM_REQUESTS_PER_MINUTE": "0",
    "OPENAI_API_KEY": "test",
    "OPENAI_MODEL": "scripted",
}
DATABASES_OF_VALKEY = 16


@dataclass
class Servers:
    """PostgreSQL and Valkey of this run, in a folder of its own, each unless a variable names another one."""

    folder: Path = field(default_factory=lambda: LOCAL / "tests" / str(os.getpid()))
    postgres: Postgres | None = None
    valkey: Valkey | None = None
    supervisor: Supervisor | None = None

    def plan(self) -> dict[str, str]:
        """Choose the addresses and return them as variables; processes of this run inherit them."""
        planned = {}
        if "DATABASE_URL" not in os.environ:
            self.postgres = Postgres(self.folder / "postgres", is_durable=False)
            planned["DATABASE_URL"] = self.postgres.url
        if "REDIS_URL" not in os.environ:
            self.valkey = Valkey(self.folder / "valkey", is_durable=False)
            planned["REDIS_URL"] = self.valkey.url
        return planned

    def start(self) -> None:
        """Start what was planned here; do nothing the second time, or where another process of this run did it."""
        if self.supervisor or not (self.postgres or self.valkey):
            return
        _remove_leftovers(self.folder.parent)
        self.supervisor = Supervisor(self.folder / "logs")
        self.supervisor.logs.mkdir(parents=True)
        services: list[Service] = [server.service() for server in (self.postgres, self.valkey) if server]
        self.supervisor.start(*services)
        if self.postgres:
            self.postgres.create_database()

    def stop(self) -> None:
        """Stop what was started, and remove its data."""
        if self.supervisor:
            self.supervisor.stop()
        if self.postgres:
            self.postgres.forget()
        shutil.rmtree(self.folder, ignore_errors=True)


SERVERS = Servers()


def of_tests() -> dict[str, str]:
    """Return the environment of this process's tests."""
    environment = local_environment() | TEST_ENVIRONMENT | SERVERS.plan() | {"AGENTPLATFORM_ENV": "development"}
    environment.pop("OPENAI_BASE_URL", None)
    environment["REDIS_URL"] = _own_database(environment["REDIS_URL"])
    return environment


def _own_database(redis_url: str) -> str:
    """Give each process of pytest-xdist its own database of Valkey, so that their queues do not meet."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % DATABASES_OF_VALKEY
    return re.sub(r"/\d*$", f"/{number}", redis_url)


def _remove_leftovers(folder: Path) -> None:
    """Remove the data of runs that were killed before they could."""
    for old in folder.glob("*") if folder.exists() else []:
        if not Path(f"/proc/{old.name}").exists():
            forget_sockets(old / "postgres")
            shutil.rmtree(old, ignore_errors=True)
