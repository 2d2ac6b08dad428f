"""What one transaction writes for one execution, and where the execution stands after it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from agentplatform.lib.ids import uuid7
from blocks.sdk.waiting import WaitFor
from executions.charging import Amount
from executions.engine.items import Outcome, Path
from executions.engine.plan import Plan
from executions.engine.progress import Closed
from executions.engine.status import NODE_FINAL, NodeStatus
from executions.leases import Claim

Amounts = dict[str, int | float | str]


@dataclass(frozen=True, slots=True)
class ChildCosts:
    """What the executions used that a firing started as sub-graphs."""

    microcredits: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


NO_CHILDREN = ChildCosts()


@dataclass(slots=True)
class Ended:
    """How one attempt of a firing ended, for good or to be continued, with all that is stored of it."""

    node: int
    node_key: str
    path: Path
    outcome: Outcome
    claim: Claim | None
    inputs: dict[str, Any]
    error: dict[str, str]
    #: Of all attempts so far, as is the cost.
    usage: Amounts
    cost_microcredits: int
    queued_at: datetime
    started_at: datetime
    ended_at: datetime
    attempt: int = 1
    #: What this attempt alone cost, where others came before it.
    own_microcredits: int | None = None
    #: The attempts before, as far as they are not written yet.
    history: tuple[dict[str, Any], ...] = ()
    children: ChildCosts = NO_CHILDREN
    #: What it wrote.
    files: tuple[UUID, ...] = ()
    #: It failed and nothing in the graph deals with that.
    is_fatal: bool = False
    #: The service it asked said when it may be asked again.
    retry_after_s: float | None = None
    #: It is begun again after so long.
    due_in_s: float | None = None
    #: It is suspended until this comes.
    wait: WaitFor | None = None

    @property
    def is_final(self) -> bool:
        """Say whether the firing will not be begun again."""
        return self.outcome.status in NODE_FINAL

    @property
    def kept_files(self) -> tuple[UUID, ...]:
        """Return the files that something may refer to from now on: what it gave, or waits with."""
        return self.files if self.outcome.status in (NodeStatus.SUCCEEDED, NodeStatus.WAITING) else ()

    def postponed(self, delay_s: float) -> Ended:
        """Return this failed attempt as one that is followed by another after so long."""
        return replace(
            self,
            outcome=Outcome(NodeStatus.PENDING),
            attempt=self.attempt + 1,
            history=(*self.history, self.as_history()),
            due_in_s=delay_s,
            is_fatal=False,
        )

    def amount(self, execution_id: UUID) -> Amount | None:
        """Return what is to be paid for it, or given back, now; None where no money is concerned."""
        if self.claim is None:
            cost = self.cost_microcredits
            return Amount(execution_id, self.node_key, self.path, 0, self.attempt, cost) if cost else None
        cost = max(0, self.cost_microcredits - self.claim.spent_microcredits)
        return self.claim.amount(cost) if cost or self.claim.is_held_for else None

    def as_history(self) -> dict[str, Any]:
        """Return the attempt as its row remembers it."""
        return {
            "attempt": self.attempt,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "code": self.error.get("code", ""),
            "message": self.error.get("message", ""),
            "cost_microcredits": self.cost_microcredits if self.own_microcredits is None else self.own_microcredits,
        }

    def as_record(self, execution_id: str) -> dict[str, Any]:
        """Return the row as the statements take it."""
        record = {
            "execution_id": execution_id,
            "node_key": self.node_key,
            "item_path": self.path,
            "status": self.outcome.status,
            "attempt": self.attempt,
            "due_in_s": self.due_in_s,
            "outputs": self.outcome.outputs,
            "error_code": self.error.get("code", ""),
            "error_message": self.error.get("message", ""),
            "error_hint": self.error.get("hint", ""),
            "usage": self.usage,
            "cost_microcredits": self.cost_microcredits,
            "history": self.history,
            "queued_at": self.queued_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at if self.is_final else None,
        }
        if self.claim:
            return record | {
                "fence": self.claim.fence,
                "waits": 1 if self.wait else 0,
                "child_cost_microcredits": self.children.microcredits,
                "child_input_tokens": self.children.input_tokens,
                "child_output_tokens": self.children.output_tokens,
            }
        return record | {"id": str(uuid7()), "inputs": self.inputs}

    def as_wait_record(self, execution_id: str) -> dict[str, Any]:
        """Return what it waits for as the statement takes it."""
        assert self.wait is not None
        return {
            "id": str(uuid7()),
            "execution_id": execution_id,
            "node_key": self.node_key,
            "item_path": self.path,
            "call_key": self.wait.call_key,
            "kind": self.wait.kind,
            "title": self.wait.title,
            "form": self.wait.form,
            "data": self.wait.data,
            "is_editable": self.wait.is_editable,
            "allowed_users": self.wait.allowed_users,
            "allowed_groups": self.wait.allowed_groups,
            "timeout_action": self.wait.timeout_action,
            "due_at": self.wait.due_at,
            "due_in_s": self.wait.due_in_s,
            "event": self.wait.event,
            "child_id": self.wait.child_id,
        }


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

    def amounts(self) -> list[Amount]:
        """Return what is to be paid for its firings, or given back."""
        return [amount for one in self.ended if (amount := one.amount(self.execution_id))]

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

    @property
    def advances(self) -> bool:
        """Say whether the execution itself is a step further with this, and not only its firings."""
        return bool(self.segments) or self.failed is not None

    def cancelled(self) -> Batch:
        """Return what is kept of the firings when the execution was cancelled meanwhile: what they used, and no outputs."""
        ended = [
            replace(one, outcome=Outcome(NodeStatus.CANCELLED), error={}, due_in_s=None, wait=None)
            for one in self.ended
            if one.claim
        ]
        return replace(self, ended=ended, closed=[], segments=[])


@dataclass(frozen=True, slots=True)
class Settled:
    """Where the execution stands after a settle."""

    done: frozenset[int]
    is_stopping: bool = False
    is_paused: bool = False
    is_final: bool = False
    #: It was told to stop: nothing more is written of it but what its firings used.
    is_cancelling: bool = False
    #: Something of it waits, so it may wait as a whole.
    has_waits: bool = False
    #: Known of one that has ended.
    execution_id: UUID | None = None
    #: Its end may let this one go on that started it.
    parent_id: UUID | None = None
    #: Its end makes room for executions that wait to be admitted.
    others_wait: bool = False
    #: Firings of it ended without a settle of their own, so money may still be set aside for them.
    may_hold: bool = False


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
