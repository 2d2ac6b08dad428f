"""What is stored of an execution, as far as it matters to one lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from agentplatform.lib.masking import Mask
from executions import statements
from executions.begun import Family
from executions.engine.compile import is_of
from executions.engine.items import Outcome, Path
from executions.engine.plan import Plan
from executions.engine.status import Status
from executions.known import ended_segments, known_outcomes
from executions.messages import Work
from executions.plans import allowed_hosts_of, plan_of
from integrations.masks import mask_for


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state a lane starts from."""

    execution_id: UUID
    plan: Plan
    family: Family
    inputs: dict[str, Any]
    done: frozenset[int]
    #: How the nodes of the lane, and those that feed them, have ended so far.
    known: dict[tuple[int, Path], Outcome]
    is_stopping: bool
    #: Of its owner's secrets.
    mask: Mask = field(default_factory=Mask)
    #: What its blocks may ask: only what is in the list of its version, and of those that run it as a sub-graph.
    allowed_hosts: tuple[tuple[str, ...], ...] = ()


def look(work: Sequence[Work]) -> list[Snapshot | None]:
    """Read what each lane needs to know, or None where nothing is left to do for it."""
    with statements.cursor() as cursor:
        statements.run(cursor, "look", ids=list({one.execution_id for one in work}))
        rows = {row[0]: row[1:] for row in cursor}
        called = [execution_id for execution_id, row in rows.items() if row[-2]]
        callers: dict[UUID, list[UUID]] = {}
        if called:
            statements.run(cursor, "callers", ids=called)
            callers = dict(cursor.fetchall())
    return [
        _seen(one, rows[one.execution_id], callers.get(one.execution_id, ())) if one.execution_id in rows else None
        for one in work
    ]


def _seen(work: Work, row: tuple[Any, ...], callers: Sequence[UUID]) -> Snapshot | None:
    status, version_id, inputs, done, is_stopping, is_paused, mark, has_origins, *family = row
    if is_paused:
        return None
    plan = plan_of(version_id)
    if not is_of(plan, work.lane):
        return None
    ended = ended_segments(work.execution_id, plan, done, mark=mark, has_origins=has_origins)
    # Where all has ended and the execution has not, the lane is there to end it.
    if len(ended) < len(plan.segments) and ended.issuperset(work.lane.segments):
        return None
    known = (
        known_outcomes(work.execution_id, plan, work.lane.segments, has_origins=has_origins)
        if status != Status.QUEUED or has_origins
        else {}
    )
    owner_id, root_id, parent_id, depth = family
    allowed_hosts = (plan.allowed_hosts, *map(allowed_hosts_of, callers))
    return Snapshot(
        work.execution_id,
        plan,
        Family(owner_id, root_id, depth, parent_id),
        from_json(inputs),
        ended,
        known,
        is_stopping,
        mask_for(owner_id),
        tuple(hosts for hosts in allowed_hosts if hosts is not None),
    )
