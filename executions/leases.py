"""Leases: which worker may run and settle a firing. Claim, renew, give up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from pydantic_core import from_json

from agentplatform.lib.ids import uuid7
from executions import failpoints, statements
from executions.engine.items import Path
from executions.engine.status import NodeStatus
from executions.models import NodeExecution


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one firing, until the lease runs out and another fence is given to somebody else."""

    execution_id: UUID
    node_key: str
    path: Path
    fence: int
    attempt: int
    #: How often a worker was lost with it.
    crashes: int = 0
    #: How often it was suspended before.
    waits: int = 0
    #: What its earlier attempts used and cost.
    spent: Mapping[str, int | float | str] = field(default_factory=dict, compare=False)
    spent_microcredits: int = 0

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
            for execution_id, key, path, fence, attempt, crashes, waits, usage, cost in cursor:
                claim = Claim(execution_id, key, tuple(path), fence, attempt, crashes, waits, from_json(usage), cost)
                claims[execution_id].append(claim)
    return claims


def renew(claims: Iterable[Claim]) -> dict[Claim, bool]:
    """Extend these leases. Return those to let go of, and whether that is because their execution was cancelled."""
    # By the fence too: a worker that stood still for long may hold a firing that it has taken over from itself.
    held = {(claim.execution_id, claim.node_key, claim.path, claim.fence): claim for claim in claims}
    failpoints.reach("before_renew")
    with statements.cursor() as cursor:
        statements.run(
            cursor, "renew", lease=lease(), claims=statements.records([c.as_record() for c in held.values()])
        )
        return {held[id_, key, tuple(path), fence]: is_cancelled for id_, key, path, fence, is_cancelled in cursor}


def give_up(claims: Iterable[Claim]) -> None:
    """Let these leases run out now, so that another worker can take over at once."""
    with statements.cursor() as cursor:
        statements.run(cursor, "expire", claims=statements.records([c.as_record() for c in claims]))


def hand_back(claims: Iterable[Claim], *, pause_s: float) -> None:
    """Give back what was claimed and not begun, to be claimed again after a pause."""
    records = statements.records([claim.as_record() for claim in claims])
    with statements.cursor() as cursor:
        statements.run(cursor, "hand_back", pause=timedelta(seconds=pause_s), claims=records)


def held(execution_id: UUID, node_key: str) -> set[Path]:
    """Return the paths at which a firing of a node is under way, or suspended: nobody can claim it now."""
    runs = Q(status=NodeStatus.RUNNING, lease_expires_at__gte=Now())
    waits = Q(status=NodeStatus.WAITING) | Q(status=NodeStatus.PENDING, due_at__gt=Now())
    firings = NodeExecution.objects.filter(runs | waits, execution_id=execution_id, node_key=node_key)
    return {tuple(path) for path in firings.values_list("item_path", flat=True)}


def lease() -> timedelta:
    """Return how long a claim lasts without being renewed."""
    return timedelta(seconds=settings.AGENTPLATFORM_LEASE_S)
