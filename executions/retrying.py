"""Go on from an ended execution: with what stands of it, run the rest as a new one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from agentplatform.lib.errors import AppError
from agentplatform.lib.ids import uuid7
from blocks.sdk import Effects
from executions import admission, affording, budgets, file_uses, history, keys, statements
from executions.engine.items import Outcome, Path
from executions.engine.money import BudgetScope
from executions.engine.plan import Plan, PlanNode
from executions.engine.progress import Firing
from executions.engine.reuse import Earlier, Reuse, reusable, unchanged_nodes
from executions.engine.status import NodeStatus
from executions.errors import NotEnded, NothingToRetry, RetryInvalid
from executions.firing import values_of
from executions.inputs import checked_inputs
from executions.models import Execution, NodeExecution
from executions.plans import plan_of
from graphs import services as graph_services
from integrations.masks import mask_for


class Mode(StrEnum):
    """What is run again."""

    #: What failed or never came to run; everything else stands.
    FAILED = "failed"
    #: One node and all that can hear of it.
    FROM_NODE = "from_node"
    #: What depends on inputs that are other ones now.
    INPUTS = "inputs"


class Version(StrEnum):
    """Which version of the graph is run."""

    SAME = "same"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class Ask:
    """How an ended execution is to be gone on from."""

    mode: Mode = Mode.FAILED
    node: str | None = None
    inputs: Mapping[str, Any] | None = None
    version: Version = Version.SAME


@dataclass(frozen=True, slots=True)
class NodePreview:
    """A node that runs again, or may."""

    key: str
    #: Firings that are known to run; more may follow from how they end.
    firings: int
    effects: Effects
    #: What its firings cost before, times how many there were; and what nineteen of twenty cost at the most.
    estimated_microcredits: int
    estimated_p95_microcredits: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """What a retry would do, before it does it."""

    version_id: UUID
    #: By node, how many of its firings stand.
    reused: Mapping[str, int]
    runs: tuple[NodePreview, ...]

    @property
    def estimated_microcredits(self) -> int:
        """Return what it will cost, going by what it cost before."""
        return sum(node.estimated_microcredits for node in self.runs)

    @property
    def estimated_p95_microcredits(self) -> int:
        """Return what it will seldom cost more than."""
        return sum(node.estimated_p95_microcredits for node in self.runs)

    @property
    def effects(self) -> tuple[str, ...]:
        """Return the nodes that act on the outside world again."""
        return tuple(node.key for node in self.runs if node.effects is not Effects.NONE)


@dataclass(frozen=True, slots=True)
class _Prepared:
    execution: Execution
    version_id: UUID
    plan: Plan
    inputs: dict[str, Any]
    reuse: Reuse


def preview(execution: Execution, ask: Ask) -> Preview:
    """Say what a retry would reuse, run and cost.

    Raises:
        NotEnded: the execution is still under way.
        RetryInvalid: the node does not exist, or the mode misses something.
        InputsInvalid: the new inputs do not fit the graph.
        NothingToRetry: every firing stands.
    """
    prepared = _prepare(execution, ask)
    known = Counter(key for key, _ in prepared.reuse.will_run)
    costs = history.costs_of(execution, prepared.reuse.affected)
    return Preview(
        version_id=prepared.version_id,
        reused=dict(Counter(key for key, _ in prepared.reuse.reused)),
        runs=tuple(
            NodePreview(node.key, known[node.key], node.block.effects, usual.microcredits, usual.p95_microcredits)
            for node in prepared.plan.nodes
            if node.key in prepared.reuse.affected
            for usual in [costs.get(node.key, history.Usual())]
        ),
    )


def retry(
    execution: Execution,
    ask: Ask,
    *,
    owner_id: int,
    budget_microcredits: int | None = None,
    execution_id: UUID | None = None,
) -> Execution:
    """Start a new execution that goes on from an ended one; what stands of that is referred to, not run and not paid again.

    Its budget is what is left of that of the ended one, or else the one given here. `execution_id` is the new id, if the caller has
    written it down already.

    Raises:
        AmountInvalid: the budget is no amount.
        NotEnded, RetryInvalid, InputsInvalid, NothingToRetry: as `preview`.
        CredentialsMissing: a node that runs again needs a credential that is not there.
        BudgetExceeded: there is surely not enough credit or budget for what runs again.
        OwnerInactive: the owner may not log in.
    """
    prepared = _prepare(execution, ask)
    new = Execution(
        id=execution_id or uuid7(),
        graph_id=execution.graph_id,
        version_id=prepared.version_id,
        owner_id=owner_id,
        inputs=prepared.inputs,
        retried_from_id=execution.pk,
        priority=execution.priority,
        segments_done=list(prepared.reuse.segments),
        plan_mark=prepared.plan.mark,
        api_key=execution.api_key,
    )
    budget = budgets.remaining_of(execution.pk) if budget_microcredits is None else budget_microcredits
    keys.refuse_missing(prepared.plan, owner_id, only=prepared.reuse.affected)
    will_run = {key for key, _ in prepared.reuse.will_run}
    affording.refuse_unpayable(new, budget_microcredits=budget, only=will_run)
    with transaction.atomic():
        if budget is not None:
            budgets.limit(BudgetScope.EXECUTION, new.pk, budget, owner_id=owner_id)
        with file_uses.noted(new):
            admission.enter(new)
        _take_over(new, execution.pk, prepared)
    return new


def _prepare(execution: Execution, ask: Ask) -> _Prepared:
    if not execution.is_final:
        raise NotEnded(f"Execution {execution.pk} is {execution.status}.")
    version_id = execution.version_id
    if ask.version is Version.NEWEST:
        version_id = graph_services.latest_version(execution.graph).pk
    plan = plan_of(version_id)
    inputs = checked_inputs(execution.inputs if ask.inputs is None else ask.inputs, plan, owner_id=execution.owner_id)
    inputs = mask_for(execution.owner_id).value(inputs)
    reuse = reusable(
        plan,
        before=_before(execution),
        unchanged=None if version_id == execution.version_id else unchanged_nodes(plan_of(execution.version_id), plan),
        excluded=_excluded(plan, ask),
        values_of=partial(_values, inputs=inputs),
    )
    if not reuse.will_run:
        raise NothingToRetry(f"Every node of execution {execution.pk} would be given the same again.")
    return _Prepared(execution, version_id, plan, inputs, reuse)


def _excluded(plan: Plan, ask: Ask) -> frozenset[str]:
    if ask.mode is Mode.INPUTS and ask.inputs is None:
        raise RetryInvalid("There are no new inputs.", path="inputs")
    if ask.mode is not Mode.FROM_NODE:
        return frozenset()
    if ask.node is None:
        raise RetryInvalid("It says no node to go on from.", path="node", hint="Give the key of one of its nodes.")
    if ask.node not in plan.index_of:
        raise RetryInvalid(
            f"The graph has no node {ask.node!r}.", path="node", hint="Give the key of one of its nodes."
        )
    return frozenset(plan.nodes[index].key for index in plan.downstream(plan.index_of[ask.node]))


def _before(execution: Execution) -> dict[tuple[str, Path], Earlier]:
    rows = NodeExecution.objects.filter(execution_id=execution.pk, status=NodeStatus.SUCCEEDED).with_origins()
    return {
        (key, tuple(path)): Earlier(NodeStatus.SUCCEEDED, inputs, Outcome(NodeStatus.SUCCEEDED, outputs))
        for key, path, inputs, outputs in rows.values_list("node_key", "item_path", "own_inputs", "own_outputs")
    }


def _values(node: PlanNode, firing: Firing, *, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return values_of(node, firing, inputs)
    except AppError:
        return None


def _take_over(new: Execution, ended_id: UUID, prepared: _Prepared) -> None:
    """Write what stands, and what follows from it, as rows of the new execution."""
    reused = [{"id": str(uuid7()), "node_key": key, "item_path": path} for key, path in prepared.reuse.reused]
    closed = [
        {
            "id": str(uuid7()),
            "execution_id": str(new.pk),
            "node_key": prepared.plan.nodes[one.node].key,
            "item_path": one.path,
            "status": one.status,
            "missing_pins": one.missing,
        }
        for one in prepared.reuse.closed
    ]
    with statements.cursor() as cursor:
        for portion in statements.portions(reused):
            statements.run(cursor, "reuse", execution_id=new.pk, ended_id=ended_id, rows=portion)
        for portion in statements.portions(closed):
            statements.run(cursor, "close", rows=portion)
