"""Our engine as a system to measure: the services a door calls, with the workers that `bin/up` starts."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from uuid import UUID

import psycopg

from agentplatform.local.paths import ROOT
from agentplatform.local.stack import WORKER, local_environment
from agentplatform.local.supervisor import Service
from benchmarks.cases import Case
from benchmarks.servers import Servers
from benchmarks.system import RUN_WITHIN_S, WrongResult

LOOK_EVERY_S = 0.001
#: Looking at hundreds of rows is work for the database: it would slow down what it looks at.
LOOK_AT_MANY_EVERY_S = 0.01
WORKERS = (
    ("ours-default", "--queues=default", "--pool=threads", "--concurrency=16"),
    ("ours-cpu", "--queues=cpu", "--pool=prefork", "--concurrency=2"),
)
STATUSES = "SELECT status, count(*) FROM executions_execution WHERE id = ANY(%s) GROUP BY status"
UNFINISHED = {"QUEUED", "RUNNING", "WAITING", "CANCELLING"}


class Ours:
    """Durable executions: each firing is a row before its execution has ended."""

    name = "ours"

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._versions: dict[str, UUID] = {}
        self._started: list[UUID] = []
        #: By case, what its runs go on from.
        self._ended: dict[str, UUID] = {}
        environment = self._environment()
        os.environ.update(environment)
        self._prepare_django()
        servers.run(*self._services(environment))
        # A connection of its own, so that looking takes no part in what is looked at; and planned once, as it is done so often.
        self._look = psycopg.connect(
            servers.database_url, autocommit=True, prepare_threshold=0, options="-c plan_cache_mode=force_generic_plan"
        )

    def prepare(self, case: Case) -> None:
        """Publish the graph of the case."""
        from benchmarks.graphs import document_of, sub_graph_of
        from graphs import services

        sub_graph = ""
        if case.shape == "loop":
            below = services.create(owner_id=self._owner_id, document=sub_graph_of(case))
            sub_graph = str(services.publish(below).graph_id)
        graph = services.create(owner_id=self._owner_id, document=document_of(case, sub_graph=sub_graph))
        self._versions[case.name] = services.publish(graph).pk
        if case.shape == "resume":
            self._start(case)
            self._wait()
            (self._ended[case.name],) = self._started

    def run_once(self, case: Case) -> None:
        """Start all executions of the case as a door does, then look until all have ended."""
        if case.shape == "resume":
            self._resume(case)
        else:
            self._start(case)
        self._wait()

    def verify(self, case: Case) -> None:
        """Compare what is stored with what the case asks for."""
        from benchmarks.graphs import RESULT
        from executions.models import Execution

        outputs = list(Execution.objects.filter(pk__in=self._started).values_list("outputs", flat=True))
        if outputs != [{RESULT: case.expected}] * case.executions:
            raise WrongResult(f"{self.name} gave {outputs[:3]} for {case.name}, not {case.expected}.")

    def rss_mb(self) -> float:
        """Return the memory of the workers and of beat."""
        return self._servers.rss_mb("ours")

    def close(self) -> None:
        """Close the connection; the workers end with the servers."""
        self._look.close()

    def _start(self, case: Case) -> None:
        from executions import services

        version_id = self._versions[case.name]
        self._started = [
            services.start(version_id=version_id, owner_id=self._owner_id, inputs={}).pk for _ in range(case.executions)
        ]

    def _resume(self, case: Case) -> None:
        """Go on from an ended execution at the last node: all others stand."""
        from benchmarks.graphs import last_of
        from executions import services
        from executions.models import Execution
        from executions.retrying import Ask, Mode

        ended = Execution.objects.select_related("graph").get(pk=self._ended[case.name])
        ask = Ask(mode=Mode.FROM_NODE, node=last_of(case))
        self._started = [services.retry(ended, ask, owner_id=self._owner_id).pk]

    def _wait(self) -> None:
        deadline = time.monotonic() + RUN_WITHIN_S
        while True:
            counts: dict[str, int] = dict(self._look.execute(STATUSES, [self._started]).fetchall())
            if counts == {"SUCCEEDED": len(self._started)}:
                return
            if set(counts) - UNFINISHED - {"SUCCEEDED"}:
                raise WrongResult(f"{self.name} ended with {counts}.")
            if time.monotonic() > deadline:
                self._servers.check()
                raise TimeoutError(f"{self.name} has {counts} after {RUN_WITHIN_S:g} s.")
            time.sleep(LOOK_EVERY_S if len(self._started) == 1 else LOOK_AT_MANY_EVERY_S)

    def _environment(self) -> dict[str, str]:
        return local_environment() | {
            "DATABASE_URL": self._servers.database_url,
            "REDIS_URL": self._servers.redis_url(0),
            "AGENTPLATFORM_EXTRA_BLOCKS": "benchmarks.blocks:BLOCKS",
            "AGENTPLATFORM_DB_CONN_MAX_AGE_S": "-1",
            "AGENTPLATFORM_LOG_LEVEL": "WARNING",
            "AGENTPLATFORM_MEDIA_ROOT": str(self._servers.folder / "media"),
            "DJANGO_SETTINGS_MODULE": "agentplatform.settings",
        }

    def _prepare_django(self) -> None:
        import django
        from django.core.management import call_command

        django.setup()
        from django.contrib.auth import get_user_model

        call_command("migrate", verbosity=0)
        self._owner_id = get_user_model()._default_manager.create(username="bench").pk
        import agentplatform.celery  # noqa: F401 - the app that this process sends through

    def _services(self, environment: dict[str, str]) -> list[Service]:
        celery = [sys.executable, "-m", "celery", "-A", "agentplatform"]
        services = [self._worker(celery, name, options, environment=environment) for name, *options in WORKERS]
        schedule = f"--schedule={self._servers.folder / 'beat-schedule'}"
        # Beat is part of what must run: it recovers what was lost, and its looks cost the measured runs a little.
        beat = Service(name="ours-beat", argv=[*celery, "beat", schedule, "--pidfile="], env=environment, cwd=ROOT)
        return [*services, beat]

    def _worker(self, celery: list[str], name: str, options: list[str], *, environment: dict[str, str]) -> Service:
        alive: Path = self._servers.folder / f"{name}.alive"
        return Service(
            name=name,
            argv=[*celery, "worker", "-n", f"{name}@%h", *options, *WORKER],
            env=environment | {"AGENTPLATFORM_ALIVE_FILE": str(alive)},
            cwd=ROOT,
            is_ready=alive.exists,
        )
