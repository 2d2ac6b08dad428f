"""A firing that a worker may run now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from agentplatform.lib.errors import AppError
from executions.engine.plan import PlanNode
from executions.engine.progress import Firing
from executions.leases import Claim


@dataclass(slots=True)
class Stop:
    """Tells the firings of one lane why they are interrupted."""

    #: A person has cancelled the execution: what was used so far is still settled.
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """Whose an execution is, and where it stands among those that started it."""

    owner_id: int
    root_id: UUID
    depth: int = 0
    parent_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A firing with the values it is given, or the error that these could not be put together."""

    execution_id: UUID
    node: PlanNode
    firing: Firing
    values: dict[str, Any] | AppError
    claim: Claim | None
    queued_at: datetime
    family: Family
    #: What it has waited for, by call key.
    answers: Mapping[str, Any] = field(default_factory=dict)
    stop: Stop = field(default_factory=Stop)

    @property
    def idempotency_key(self) -> str:
        """Return the key that is the same for every attempt of this firing."""
        return f"{self.execution_id}:{self.node.key}:{','.join(map(str, self.firing.path))}"
