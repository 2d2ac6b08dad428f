"""A platform of a test's own, to be broken: every process in a group of its own, servers that can be lost, proxies between them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from agentplatform.local.paths import ROOT
from agentplatform.local.ports import LOOPBACK, answers, free_port
from agentplatform.local.postgres import NAME, Postgres
from agentplatform.local.stack import local_environment
from agentplatform.local.supervisor import Service, kill_group, spawn
from agentplatform.local.valkey import Valkey
from tests.faults.chaosproxy import ChaosProxy, Open, to_tcp, to_unix
from tests.faults.effects import SINK_URL, Sink, running_sink
from tests.faults.rabbit import Rabbit
from tests.servers import Worker, wait_until

SHORT_LEASES = {
    "AGENTPLATFORM_LEASE_S": "2.0",
    "AGENTPLATFORM_HEARTBEAT_S": "0.5",
    "AGENTPLATFORM_RECONCILE_S": "0.5",
    "AGENTPLATFORM_SOFT_SHUTDOWN_S": "3.0",
}
#: So long a lease does not run out meanwhile, however slow the machine is: for tests that count how often something happens.
PATIENT = {"AGENTPLATFORM_LEASE_S": "60.0"}
BLOCKS = "tests.blocks:TEST_BLOCKS,tests.faults.blocks:FAULT_BLOCKS"
QUIET = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO"]
POOLS = {"default": ("threads", 4), "cpu": ("prefork", 2)}


@dataclass(frozen=True, slots=True)
class Route:
    """How a process reaches the servers: straight, or through proxies of its own."""

    database: ChaosProxy | None = None
    broker: ChaosProxy | None = None


STRAIGHT = Route()


@dataclass
class Member:
    """A process of the stack, how it is made, and whether somebody starts it again as an orchestrator would."""

    name: str
    #: Makes the service for its so-many-th start.
    make: Callable[[int], Service]
    logs: Path
    is_kept: bool = False
    starts: int = 0
    deaths: list[int] = field(default_factory=list)
    #: Of the process of each start.
    pids: list[int] = field(default_factory=list)
    process: Worker | None = None
    service: Service | None = None

    @property
    def is_up(self) -> bool:
        """Whether its process lives."""
        return self.process is not None and self.process.process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it does its work."""
        return self.is_up and self.service is not None and self.service.is_ready()

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self.process is not None
        return self.process.pid

    @property
    def children(self) -> list[int]:
        """The numbers of its pool processes; none where it has just died."""
        try:
            return self.process.children if self.process else []
        except (FileNotFoundError, ProcessLookupError):
            return []

    def start(self) -> None:
        """Start it and do not wait. From the main thread only: a process dies with the thread that started it."""
        self.service = self.make(self.starts)
        self.starts += 1
        self.service.before()
        log = self.logs / f"{self.name}.log"
        with log.open("ab") as file:
            self.process = Worker(spawn(self.service, file.fileno()), log)
        self.pids.append(self.process.pid)

    def wait(self, within_s: float = 60.0) -> None:
        """Wait until it is ready."""

        def is_decided() -> bool:
            return self.is_ready or not self.is_up

        try:
            wait_until(is_decided, within_s=within_s, what=f"The start of {self.name}")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.tail()}") from None
        assert self.is_up, f"{self.name} did not come up:\n{self.tail()}"

    def kill9(self) -> None:
        """Kill it and all that belongs to it."""
        if self.process is not None:
            self.process.kill9()

    def send(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        if self.is_up:
            os.kill(self.pid, number)

    def revive(self) -> bool:
        """Start it again if it has died and is kept. Return whether that was so."""
        if not self.is_kept or self.is_up or self.process is None:
            return False
        self.deaths.append(self.process.process.returncode)
        kill_group(self.pid)
        self.start()
        return True

    def tail(self, lines: int = 25) -> str:
        """Return the end of its log."""
        log = self.logs / f"{self.name}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


class Stack:
    """PostgreSQL, a broker, the web, beat and workers; whoever made it may kill, stop and start each."""

    def __init__(
        self,
        folder: Path,
        *,
        broker: str = "valkey",
        leases: Mapping[str, str] = SHORT_LEASES,
        effects: Path | None = None,
    ) -> None:
        self.folder = folder
        self.effects = effects or folder / "effects.jsonl"
        self.leases = leases
        self.logs = folder / "logs"
        self.postgres = Postgres(folder / "postgres")
        self.valkey = Valkey(folder / "valkey")
        #: The broker, if that is not Valkey, which counts chords in any case.
        self.rabbit = Rabbit(folder / "rabbitmq") if broker == "rabbitmq" else None
        self.members: dict[str, Member] = {}
        self.web_port = free_port()
        self.sink: Sink
        self._kept = ExitStack()

    def start(self) -> None:
        """Start the servers and the sink."""
        self.logs.mkdir(parents=True)
        self.folder.chmod(0o711)  # PostgreSQL's own user passes through to its data
        self.sink = self._kept.enter_context(running_sink(self.effects))
        # Made once: to make PostgreSQL's again would remove the folder of its socket.
        for service in (self.postgres.service(), self.valkey.service()):
            self.add(Member(service.name, lambda _, service=service: service, self.logs))
        if self.rabbit:
            self.add(Member("epmd", lambda _: self.rabbit.names(), self.logs)).wait()
            self.add(Member("rabbitmq", lambda _: self.rabbit.service(), self.logs))
        for server in self.members.values():
            server.wait()
        self.postgres.create_database()

    def stop(self) -> None:
        """End everything, whatever state it is in, and remove the data."""
        for name in reversed(self.members):
            self.members[name].kill9()
        self._kept.close()
        self.postgres.forget()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def broker(self) -> Member:
        """The process that holds the messages."""
        return self.members["rabbitmq" if self.rabbit else "valkey"]

    @property
    def broker_url(self) -> str:
        """Its address."""
        return self.rabbit.url if self.rabbit else self.valkey.url

    @property
    def environment(self) -> dict[str, str]:
        """What every process of ours is told."""
        return {
            **local_environment(),
            **self.leases,
            "AGENTPLATFORM_ALLOWED_HOSTS": "localhost,127.0.0.1",
            "AGENTPLATFORM_ALLOWED_PRIVATE_HOSTS": LOOPBACK,
            "AGENTPLATFORM_EXTRA_BLOCKS": BLOCKS,
            "AGENTPLATFORM_FAILPOINT": "",
            "DJANGO_SETTINGS_MODULE": "agentplatform.settings",
            "PYTHONUNBUFFERED": "1",
            "CELERY_SKIP_CHECKS": "1",
            SINK_URL: self.sink.url,
            **self.addresses(STRAIGHT),
        }

    def addresses(self, route: Route) -> dict[str, str]:
        """Return where a process finds the servers."""
        database = self.postgres.url
        if route.database:
            database = f"postgresql://{NAME}@{LOOPBACK}:{route.database.port}/{NAME}?sslmode=disable&gssencmode=disable"
        broker = self.broker_url
        if route.broker:
            broker = re.sub(r"(@[^:/]+):\d+", rf"\1:{route.broker.port}", broker)
        return {
            "DATABASE_URL": database,
            "REDIS_URL": self.valkey.url if self.rabbit else broker,
            "BROKER_URL": broker,
        }

    def proxy(self, target: str) -> ChaosProxy:
        """Return a new proxy before `database` or `broker`."""
        return self._kept.enter_context(ChaosProxy(self._target(target)))

    def route(self) -> Route:
        """Return a way to the servers with a proxy before each."""
        return Route(self.proxy("database"), self.proxy("broker"))

    def worker(
        self,
        name: str,
        queue: str = "default",
        *,
        route: Route = STRAIGHT,
        failpoint: Callable[[int], str] | str = "",
        is_kept: bool = False,
        concurrency: int | None = None,
        prefix: Sequence[str] = (),
        code: Path = ROOT,
        **environment: str,
    ) -> Member:
        """Start a worker and do not wait for it. A failpoint may depend on how often it was started before.

        It runs the code in a folder: this release, or another one.
        """
        pool, usual = POOLS[queue]
        alive = self.folder / f"{name}.alive"

        def make(starts: int) -> Service:
            options = ["-Q", queue, "-P", pool, "-c", str(concurrency or usual), "-n", f"{name}-{starts}@%h", *QUIET]
            return Service(
                name=name,
                argv=[*prefix, sys.executable, "-m", "celery", "-A", "agentplatform", "worker", *options],
                env=self.environment
                | self.addresses(route)
                | {"AGENTPLATFORM_ALIVE_FILE": str(alive), "AGENTPLATFORM_DB_CONN_MAX_AGE_S": "-1"}
                | {"AGENTPLATFORM_FAILPOINT": failpoint if isinstance(failpoint, str) else failpoint(starts)}
                | environment,
                cwd=code,
                before=lambda: alive.unlink(missing_ok=True),
                is_ready=alive.exists,
            )

        return self.add(Member(name, make, self.logs, is_kept))

    def beat(self, name: str = "beat", *, route: Route = STRAIGHT, is_kept: bool = True, **environment: str) -> Member:
        """Start beat."""
        argv = [sys.executable, "-m", "celery", "-A", "agentplatform", "beat", "--pidfile=", "--loglevel=INFO"]

        def make(starts: int) -> Service:
            return Service(
                name=name,
                argv=[*argv, f"--schedule={self.folder / name}.schedule"],
                env=self.environment | self.addresses(route) | {"AGENTPLATFORM_DB_CONN_MAX_AGE_S": "-1"} | environment,
                cwd=ROOT,
            )

        return self.add(Member(name, make, self.logs, is_kept))

    def web(
        self, name: str = "web", *, failpoint: Callable[[int], str] = lambda starts: "", **environment: str
    ) -> Member:
        """Start the web."""
        serve = ["uvicorn", "agentplatform.asgi:application", f"--host={LOOPBACK}", f"--port={self.web_port}"]

        def make(starts: int) -> Service:
            return Service(
                name=name,
                argv=[sys.executable, "-m", *serve, "--no-access-log", "--timeout-graceful-shutdown=5"],
                env=self.environment | {"AGENTPLATFORM_FAILPOINT": failpoint(starts)} | environment,
                cwd=ROOT,
                is_ready=lambda: answers(self.web_port, "/healthz"),
            )

        return self.add(Member(name, make, self.logs, is_kept=True))

    def add(self, member: Member) -> Member:
        """Start a process that belongs to the stack from now on."""
        if member.name in self.members:
            self.members[member.name].kill9()
        self.members[member.name] = member
        member.start()
        return member

    def dismiss(self, *names: str) -> None:
        """Kill these processes, and forget them."""
        for name in names:
            self.members.pop(name).kill9()

    def look(self) -> list[str]:
        """Start again whatever is kept and has died. Return the names."""
        return [name for name, member in self.members.items() if member.revive()]

    def crash_postgres(self) -> None:
        """Let PostgreSQL die without a word, then start it again: it recovers from its log."""
        self.members["postgres"].send(signal.SIGQUIT)
        wait_until(lambda: not self.members["postgres"].is_up, what="The death of PostgreSQL")
        self.resume("postgres")

    def stop_broker(self) -> None:
        """Stop the broker in good order: it forgets nothing."""
        self.stop_member(self.broker.name)

    def stop_member(self, name: str) -> None:
        """Stop a process in good order, and wait until it is gone."""
        self.members[name].send(signal.SIGTERM)
        wait_until(lambda: not self.members[name].is_up, what=f"The stop of {name}")

    def lose_broker(self) -> None:
        """Kill the broker and remove what it had written down."""
        self.broker.kill9()
        if self.rabbit:
            self.rabbit.forget()
        else:
            shutil.rmtree(self.valkey.folder / "appendonlydir")

    def forget_executions(self) -> None:
        """Remove every execution there is, every message, and what is remembered of their effects."""
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(
                "TRUNCATE executions_execution, executions_nodeexecution, executions_wait, executions_delivery, executions_outgoingdelivery"
            )
        with self.redis() as valkey:
            valkey.flushall()
        self.sink.forget()

    def resume(self, name: str) -> None:
        """Start a server that was stopped, and wait until it answers."""
        self.members[name].start()
        self.members[name].wait()

    def redis(self, number: int = 0) -> redis.Redis:
        """Return a client of Valkey."""
        return redis.Redis.from_url(self.database_of_valkey(number))

    def database_of_valkey(self, number: int) -> str:
        """Return the address of one of its numbered databases."""
        return f"{self.valkey.url.rpartition('/')[0]}/{number}"

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Let Django in this process use the stack's own database for a `with` block, and not the one of the tests."""
        from django.db import connections

        given: dict[str, Any] = connections.settings["default"]
        kept = dict(given)
        connections.close_all()
        given |= {"NAME": NAME, "USER": NAME, "PASSWORD": "", "HOST": str(self.postgres.sockets), "PORT": ""}
        try:
            yield
        finally:
            connections.close_all()
            given.clear()
            given.update(kept)

    def _target(self, name: str) -> Open:
        if name == "database":
            return to_unix(str(self.postgres.sockets / ".s.PGSQL.5432"))
        return to_tcp(urlsplit(self.broker_url).port or 0)


@contextmanager
def running_stack(folder: Path, **options: Any) -> Iterator[Stack]:
    """Run the servers of a stack for a `with` block, with the platform's schema, and leave nothing behind."""
    from django.core.management import call_command

    stack = Stack(folder, **options)
    try:
        stack.start()
        with stack.attached():
            call_command("migrate", interactive=False, verbosity=0)
        yield stack
    finally:
        stack.stop()
