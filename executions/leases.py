"""Leases: which worker may run and settle a firing. Claim, renew, give up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from agentplatform.lib.ids import uuid7
from executions import statements
from executions.engine.items import Path
from executions.engine.status import NodeStatus
from executions.models import NodeExecution


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one firing, until the lease runs out or a higher fence is given to somebody else."""

    execution_id: UUID
    node_key: str
    path: Path
    fence: int
    attempt: int

    def as_record(self) -> dict[str, Any]:
        """Return the claim as the statements take it."""
        return {
            "execution_id": str(self.execution_id),
            "node_key": self.node_key,
            "item_path": self.path,
            "fence": self.fence,
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """A firing that is ready, to be claimed with the values that arrived."""

    node_key: str
    path: Path
    inputs: dict[str, Any]
    #: It must not be begun twice, so its claim has to outlive a crash of the database.
    is_once: bool = False


def claim(wanted: Mapping[UUID, Sequence[Wanted]], *, worker: str) -> dict[UUID, list[Claim]]:
    """Take the leases of ready firings, by execution; what another worker holds, or has settled, is left out."""
    firings = [
        {
            "id": str(uuid7()),
            "execution_id": str(execution_id),
            "node_key": firing.node_key,
            "item_path": firing.path,
            "inputs": firing.inputs,
        }
        for execution_id, its_firings in wanted.items()
        for firing in its_firings
    ]
    is_relaxed = not any(firing.is_once for its_firings in wanted.values() for firing in its_firings)
    claims: dict[UUID, list[Claim]] = {execution_id: [] for execution_id in wanted}
    with statements.cursor() as cursor:
        for portion in statements.portions(firings):
            statements.run(
                cursor, "claim", ids=list(wanted), lease=lease(), worker=worker, is_relaxed=is_relaxed, firings=portion
            )
            for execution_id, key, path, fence, attempt in cursor:
                claims[execution_id].append(Claim(execution_id, key, tuple(path), fence, attempt))
    return claims


def renew(claims: Iterable[Claim]) -> set[tuple[UUID, str, Path]]:
    """Extend these leases. Return those that another worker has taken over."""
    with statements.cursor() as cursor:
        statements.run(cursor, "renew", lease=lease(), claims=statements.records([c.as_record() for c in claims]))
        return {(execution_id, key, tuple(path)) for execution_id, key, path in cursor}


def give_up(claims: Iterable[Claim]) -> None:
    """Let these leases run out now, so that another worker can take over at once."""
    with statements.cursor() as cursor:
        statements.run(cursor, "expire", claims=statements.records([c.as_record() for c in claims]))


def held(execution_id: UUID, node_key: str) -> set[Path]:
    """Return the paths at which a worker holds the lease of a node."""
    running = NodeExecution.objects.filter(execution_id=execution_id, node_key=node_key, status=NodeStatus.RUNNING)
    live = running.filter(lease_expires_at__gte=Now())
    return {tuple(path) for path in live.values_list("item_path", flat=True)}


def lease() -> timedelta:
    """Return how long a claim lasts without being renewed."""
    return timedelta(seconds=settings.AGENTPLATFORM_LEASE_S)
