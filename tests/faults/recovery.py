"""How long it takes until what a killed worker left is taken over by another."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from executions.engine.status import NodeStatus
from executions.models import NodeExecution

Left = set[tuple[UUID, str, tuple[int, ...], int]]


@dataclass
class Recoveries:
    """Firings that lost their workers, until each is claimed again, settled, or stopped."""

    took_s: list[float] = field(default_factory=list)
    _open: list[tuple[float, Left]] = field(default_factory=list)

    def lost(self, pid: int) -> None:
        """A process has just been killed: remember what it ran."""
        try:
            left = _running(worker__endswith=f":{pid}")
        except (OperationalError, InterfaceError):
            connection.close()
            return
        if left:
            self._open.append((time.monotonic(), left))

    def look(self) -> None:
        """Find out what has been taken over since."""
        if not self._open:
            return
        try:
            running = _running()
        except (OperationalError, InterfaceError):
            connection.close()
            return
        still = [(since, left & running) for since, left in self._open]
        self.took_s += [time.monotonic() - since for since, left in still if not left]
        self._open = [(since, left) for since, left in still if left]

    def __str__(self) -> str:
        if not self.took_s:
            return "none"
        return f"{len(self.took_s)}, median {median(self.took_s):.1f} s, at most {max(self.took_s):.1f} s"


def _running(**of: object) -> Left:
    rows = NodeExecution.objects.filter(status=NodeStatus.RUNNING, **of)
    return {
        (one, key, tuple(path), fence)
        for one, key, path, fence in rows.values_list("execution_id", "node_key", "item_path", "fence")
    }
