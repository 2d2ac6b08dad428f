"""Leases: which worker may run and settle a firing. Claim, renew, give up."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from pydantic_core import from_json

from agentplatform.lib.ids import uuid7
from executions import charging, failpoints, statements
from executions.charging import Amount
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
    #: How often a worker was lost with it, or was only slow and was taken for lost.
    crashes: int = 0
    #: With how many of those it was lost as far as anybody knows: they have not been heard of since.
    losses: int = 0
    #: How often it was suspended before.
    waits: int = 0
    #: What its earlier attempts used and cost.
    spent: Mapping[str, int | float | str] = field(default_factory=dict, compare=False)
    spent_microcredits: int = 0
    #: Money may be set aside for it, by this claim or by one that was lost.
    is_held_for: bool = field(default=False, compare=False)
    #: Why it was given back at once: what it may cost is not there.
    refusal: str = field(default="", compare=False)

    def amount(self, microcredits: int) -> Amount:
        """Return what it may cost, or has cost, as the ledger takes it."""
        return Amount(self.execution_id, self.node_key, self.path, self.fence, self.attempt, microcredits)

    def as_record(self) -> dict[str, Any]:
        """Return the claim as the statements take it."""
        return {
            "execution_id": str(self.execution_id),
            "node_key": self.node_key,
            "item_path": self.path,
            "fence": self.fence,
        }


#: A firing that so many workers were lost with is not begun again: it ends them.
MAX_LOSSES = 3
#: Nor is one that was taken over so often, though the workers that had it live: none of them can hold it.
MAX_CRASHES = 12
#: Which request a fence was given to, in as many of its bits.
MARK_BITS = 20


def _mark() -> int:
    return random.getrandbits(MARK_BITS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A firing that is ready, to be claimed with the values that arrived."""

    node_key: str
    path: Path
    inputs: dict[str, Any]
    #: It must not be begun twice, so its claim has to outlive a crash of the database.
    is_once: bool = False
    #: The most that it may cost: set aside before it begins.
    hold_microcredits: int = 0
    #: Tells what this request was granted, should it have to be repeated because its answer was lost, from what others hold.
    mark: int = field(default_factory=_mark, compare=False)


def claim(wanted: Mapping[UUID, Sequence[Wanted]], *, worker: str) -> dict[UUID, list[Claim]]:
    """Take the leases of ready firings, by execution; what another worker holds, or has settled, is left out.

    For what may cost something, that is set aside in the same transaction. Where it is not there, the claim says so and is given back.
    """
    holds = {
        (execution_id, firing.node_key, firing.path): firing.hold_microcredits
        for execution_id, its_firings in wanted.items()
        for firing in its_firings
        if firing.hold_microcredits
    }
    is_once = any(firing.is_once for its_firings in wanted.values() for firing in its_firings)
    # What costs money is not begun on a claim that a crash of the database could undo.
    with transaction.atomic(durable=True) if holds else nullcontext():
        claims = _claim(wanted, worker=worker, is_relaxed=not (is_once or holds))
        return _hold(claims, holds) if holds else claims


def _claim(wanted: Mapping[UUID, Sequence[Wanted]], *, worker: str, is_relaxed: bool) -> dict[UUID, list[Claim]]:
    firings = [
        {
            "id": str(uuid7()),
            "execution_id": str(execution_id),
            "node_key": firing.node_key,
            "item_path": firing.path,
            "mark": firing.mark,
            "inputs": firing.inputs,
        }
        for execution_id, its_firings in wanted.items()
        for firing in its_firings
    ]
    claims: dict[UUID, list[Claim]] = {execution_id: [] for execution_id in wanted}
    with statements.cursor() as cursor:
        for portion in statements.portions(firings):
            statements.run(
                cursor,
                "claim",
                ids=list(wanted),
                lease=lease(),
                worker=worker,
                is_relaxed=is_relaxed,
                suspected=MAX_LOSSES - 1,
                firings=portion,
            )
            for execution_id, key, path, fence, attempt, crashes, losses, waits, usage, cost in cursor:
                claim = Claim(
                    execution_id,
                    key,
                    tuple(path),
                    fence,
                    attempt,
                    crashes,
                    losses,
                    waits,
                    from_json(usage),
                    cost,
                    is_held_for=crashes > 0,
                )
                claims[execution_id].append(claim)
    return claims


def _hold(claims: dict[UUID, list[Claim]], holds: Mapping[tuple[UUID, str, Path], int]) -> dict[UUID, list[Claim]]:
    """Set aside what claimed firings may cost; of those that do not fit, give the claims back."""
    amounts = [
        claim.amount(holds.get((claim.execution_id, claim.node_key, claim.path), 0))
        for its_claims in claims.values()
        for claim in its_claims
    ]
    asked = [one for one in amounts if one.microcredits]
    if not asked:
        return claims
    refusals = charging.hold(asked)
    held = {one.fence for one in asked}
    marked = {
        execution_id: [
            replace(claim, is_held_for=True, refusal=refusals.get(claim.fence, "")) if claim.fence in held else claim
            for claim in its_claims
        ]
        for execution_id, its_claims in claims.items()
    }
    if refused := [claim for its_claims in marked.values() for claim in its_claims if claim.refusal]:
        _hand_back(refused, pause_s=0.0)
    return marked


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


def vouch(claims: Sequence[Claim]) -> list[Claim]:
    """Say of claims that were let go that their worker lives. Return those of which it has to be said again."""
    let_go = {(claim.execution_id, claim.node_key, claim.path, claim.fence): claim for claim in claims}
    with statements.cursor() as cursor:
        statements.run(cursor, "vouch", claims=statements.records([claim.as_record() for claim in claims]))
        return [let_go[id_, key, tuple(path), fence] for id_, key, path, fence in cursor]


def blame(claims: Iterable[Claim]) -> None:
    """Note, before suspects are begun, that the end of their worker counts against them from now on."""
    with statements.cursor() as cursor:
        statements.run(cursor, "blame", claims=statements.records([claim.as_record() for claim in claims]))


def hand_back(claims: Iterable[Claim], *, pause_s: float) -> None:
    """Give back what was claimed and not begun, to be claimed again after a pause."""
    claims = list(claims)
    held = [claim.amount(0) for claim in claims if claim.is_held_for]
    with transaction.atomic(durable=True) if held else nullcontext():
        back = set(_hand_back(claims, pause_s=pause_s))
        charging.settle([one for one in held if one.fence in back])


def _hand_back(claims: Sequence[Claim], *, pause_s: float) -> list[int]:
    """Give claims back. Return the fences of those that were still ours."""
    records = statements.records([claim.as_record() for claim in claims])
    with statements.cursor() as cursor:
        statements.run(cursor, "hand_back", pause=timedelta(seconds=pause_s), claims=records)
        return [fence for (fence,) in cursor]


def held(execution_id: UUID, node_key: str) -> set[Path]:
    """Return the paths at which a firing of a node is under way, or suspended: nobody can claim it now."""
    runs = Q(status=NodeStatus.RUNNING, lease_expires_at__gte=Now())
    waits = Q(status=NodeStatus.WAITING) | Q(status=NodeStatus.PENDING, due_at__gt=Now())
    firings = NodeExecution.objects.filter(runs | waits, execution_id=execution_id, node_key=node_key)
    return {tuple(path) for path in firings.values_list("item_path", flat=True)}


def lease() -> timedelta:
    """Return how long a claim lasts without being renewed."""
    return timedelta(seconds=settings.AGENTPLATFORM_LEASE_S)
