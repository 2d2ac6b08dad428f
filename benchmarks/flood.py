"""`python -m benchmarks.flood`: 10,000 executions stand in line, nearly all of one owner. How fast, how fair, how much memory?"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.table import Table

from agentplatform.local.supervisor import Service
from benchmarks.cases import Case
from benchmarks.ours import Ours
from benchmarks.servers import Servers, running_servers

GRAPH = Case("flood", "diamond", 3)
#: What the two small owners start: one behind the flood and before any worker comes, one while the flood is worked off.
FEW = 100
EVERY_S = 0.05
SAMPLE_EVERY_S = 0.5
ALL_WITHIN_S = 900


class Late(Ours):
    """Ours, whose workers come only when the line is there."""

    def work(self) -> None:
        """Start the workers and beat."""
        self._servers.run(*self._later)

    def _services(self, environment: dict[str, str]) -> list[Service]:
        self._later = super()._services(environment)
        return []


class Memory(threading.Thread):
    """Samples the memory of the worker while it works."""

    def __init__(self, servers: Servers) -> None:
        super().__init__(daemon=True)
        self._servers = servers
        self._is_over = threading.Event()
        self.samples_mb: list[float] = []

    def run(self) -> None:
        """Look at it now and then, until told to stop."""
        while not self._is_over.wait(SAMPLE_EVERY_S):
            self.samples_mb.append(self._servers.rss_mb("ours-default"))

    def stop(self) -> None:
        """Look no more."""
        self._is_over.set()
        self.join()


def main(arguments: Sequence[str] | None = None) -> int:
    """Flood, wait for the end, and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flood", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help=f"executions in all; two owners start {FEW} each")
    count = parser.parse_args(arguments).count
    console = Console()
    with running_servers() as servers:
        ours = Late(servers)
        flood, few, later = [_publish(name) for name in ("flood", "few", "later")]
        began = time.monotonic()
        _start(flood, count - 2 * FEW)
        _start(few, FEW)
        accepted_s = time.monotonic() - began
        memory = Memory(servers)
        ours.work()
        memory.start()
        began = time.monotonic()
        _start(later, FEW, every_s=EVERY_S)
        _wait()
        took_s = time.monotonic() - began
        memory.stop()
        console.print(_waits())
        console.print(
            f"{count:,} executions: accepted in {accepted_s:.1f} s, ended {took_s:.1f} s after the worker came."
        )
        console.print(_told(memory.samples_mb))
        ours.close()
    return 0


def _publish(name: str) -> tuple[UUID, int]:
    """Return the version of a small graph, and its owner."""
    from django.contrib.auth import get_user_model

    from benchmarks.graphs import document_of
    from graphs import services

    owner = get_user_model()._default_manager.create(username=name)
    return services.publish(services.create(owner_id=owner.pk, document=document_of(GRAPH))).pk, owner.pk


def _start(what: tuple[UUID, int], count: int, *, every_s: float = 0.0) -> None:
    from executions import services

    version_id, owner_id = what
    for _ in range(count):
        services.start(version_id=version_id, owner_id=owner_id)
        time.sleep(every_s)


def _wait() -> None:
    from executions.models import Execution

    deadline = time.monotonic() + ALL_WITHIN_S
    while Execution.objects.unfinished().exists():
        if time.monotonic() > deadline:
            raise TimeoutError("They do not end.")
        time.sleep(0.1)


def _waits() -> Table:
    """Return how long each owner's executions waited for their first node, once there was a worker."""
    from executions.models import Execution

    rows: Any = Execution.objects.order_by("started_at", "id").values_list(
        "owner__username", "created_at", "started_at", "status"
    )
    first = next(began for _, _, began, _ in rows)
    table = Table("owner", "executions", "succeeded", "waited, median", "waited, longest", "others before its last")
    for name in ("flood", "few", "later"):
        places = [place for place, row in enumerate(rows) if row[0] == name]
        mine = [rows[place] for place in places]
        waits = [began - max(asked, first) for _, asked, began, _ in mine]
        table.add_row(
            name,
            f"{len(mine):,}",
            f"{sum(status == 'SUCCEEDED' for *_, status in mine):,}",
            _seconds(statistics.median(waits)),
            _seconds(max(waits)),
            f"{places[-1] + 1 - len(mine):,}",
        )
    return table


def _told(samples_mb: Sequence[float]) -> str:
    fifth = max(1, len(samples_mb) // 5)
    # The first samples still load the code.
    means = [statistics.mean(samples_mb[start : start + fifth]) for start in range(0, fifth * 5, fifth)]
    told = ", ".join(f"{mean:.0f}" for mean in means)
    return f"Memory of the worker, in MB, by fifths of the time: {told}; {max(samples_mb):.0f} at most."


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.2f} s"


if __name__ == "__main__":
    sys.exit(main())
