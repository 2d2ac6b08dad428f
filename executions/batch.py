"""What one transaction writes for one execution, and where the execution stands after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from agentplatform.lib.ids import uuid7
from executions.engine.items import Outcome, Path
from executions.engine.plan import Plan
from executions.engine.progress import Closed
from executions.engine.status import NodeStatus
from executions.leases import Claim


@dataclass(slots=True)
class Ended:
    """How one firing ended, with all that is stored of it."""

    node: int
    node_key: str
    path: Path
    outcome: Outcome
    claim: Claim | None
    inputs: dict[str, Any]
    error: dict[str, str]
    usage: dict[str, int | float | str]
    cost_microcredits: int
    queued_at: datetime
    started_at: datetime
    ended_at: datetime
    #: It failed and nothing in the graph deals with that.
    is_fatal: bool = False

    def as_record(self, execution_id: str) -> dict[str, Any]:
        """Return the row as the statements take it."""
        record = {
            "execution_id": execution_id,
            "node_key": self.node_key,
            "item_path": self.path,
            "status": self.outcome.status,
            "outputs": self.outcome.outputs,
            "error_code": self.error.get("code", ""),
            "error_message": self.error.get("message", ""),
            "error_hint": self.error.get("hint", ""),
            "usage": self.usage,
            "cost_microcredits": self.cost_microcredits,
            "queued_at": self.queued_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
        }
        if self.claim:
            return record | {"fence": self.claim.fence}
        return record | {"id": str(uuid7()), "inputs": self.inputs}


@dataclass(slots=True)
class Batch:
    """What one transaction writes for one execution."""

    execution_id: UUID
    plan: Plan
    worker: str
    ended: list[Ended] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    #: Segments that are complete with this batch.
    segments: list[int] = field(default_factory=list)
    #: Segments that were complete before the worker began: it need not ask again.
    done_before: frozenset[int] = frozenset()
    #: How the output nodes ended that the worker knows of, by node index.
    known_outputs: dict[int, dict[Path, Outcome]] = field(default_factory=dict)

    @property
    def failed(self) -> Ended | None:
        """Return the first failure that ends the execution."""
        return next((ended for ended in self.ended if ended.is_fatal), None)

    def closed_records(self) -> list[dict[str, Any]]:
        """Return the paths that never fire as the statements take them."""
        return [
            {
                "id": str(uuid7()),
                "execution_id": str(self.execution_id),
                "node_key": self.plan.nodes[closed.node].key,
                "item_path": closed.path,
                "status": closed.status,
                "missing_pins": closed.missing,
            }
            for closed in self.closed
        ]


@dataclass(frozen=True, slots=True)
class Settled:
    """Where the execution stands after a settle."""

    done: frozenset[int]
    is_stopping: bool = False
    is_final: bool = False


def outputs_of(plan: Plan, ended: dict[int, dict[Path, Outcome]]) -> dict[str, Any]:
    """Return the execution's outputs by name: a value where the node fired plainly, else the list by path."""
    outputs: dict[str, Any] = {}
    for node in plan.outputs:
        values = {
            path: outcome.outputs["output"][-1]
            for path, outcome in ended.get(node.index, {}).items()
            if outcome.status is NodeStatus.SUCCEEDED and outcome.outputs.get("output")
        }
        if values:
            name = str(node.constants.get("name", "output"))
            outputs[name] = values[()] if set(values) == {()} else [values[path] for path in sorted(values)]
    return outputs
