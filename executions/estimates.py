"""What an execution is likely to cost before it is started: what the latest ones of its graph cost, node by node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from uuid import UUID

from django.db.models import F, Sum

from blocks.sdk import BlockError
from executions import quotes
from executions.engine.plan import PlanNode
from executions.engine.status import Status
from executions.errors import VersionNotPublished
from executions.models import Execution, NodeExecution
from executions.plans import plan_of
from graphs.models import GraphVersion

#: So many of a graph's latest executions are looked through, and so many of those that fit are counted.
LATEST, COUNTED = 500, 100


class Basis(StrEnum):
    """What an estimate goes by."""

    #: Executions of this very version.
    VERSION = "version"
    #: Those of other versions of the graph: this one has not ended yet, or not lately.
    GRAPH = "graph"
    #: None: what is held for one firing of each node.
    PRICES = "prices"


@dataclass(frozen=True, slots=True)
class Spread:
    """What half of all cost at the most, and what nineteen of twenty do."""

    p50_microcredits: int
    p95_microcredits: int

    @classmethod
    def of(cls, costs: Iterable[int]) -> Spread:
        """Return that of some costs; of none, nothing."""
        ordered = sorted(costs)
        return cls(_at(ordered, 0.5), _at(ordered, 0.95))


@dataclass(frozen=True, slots=True)
class NodeEstimate:
    """What all firings of a node cost together in one execution."""

    key: str
    #: In so many executions it cost something or nothing, but ran.
    executions: int
    cost: Spread
    #: For each of its firings, by the constants of the node; None: it names a model without a price, and would be refused.
    held_microcredits: int | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an execution of a version is likely to cost, with its sub-graphs."""

    version_id: UUID
    basis: Basis
    #: So many executions it goes by.
    executions: int
    cost: Spread
    nodes: tuple[NodeEstimate, ...]


def estimate(version_id: UUID) -> Estimate:
    """Return what an execution of a published version is likely to cost.

    Raises:
        VersionNotPublished: there is none, or it is a draft.
        blocks.registry.UnknownBlock: the version uses a block that is not installed here.
    """
    version = GraphVersion.objects.published().filter(pk=version_id).only("graph_id").first()
    if version is None:
        raise VersionNotPublished
    nodes = plan_of(version_id).nodes
    basis, ended = _latest(version)
    by_node = _costs_by_node([pk for pk, _ in ended], [node.key for node in nodes])
    holds = {node.key: _held(node) for node in nodes}
    if basis is Basis.PRICES:
        by_node = {key: [held] for key, held in holds.items() if held}
    costs = [cost for _, cost in ended] or [sum(held for held in holds.values() if held)]
    return Estimate(
        version_id=version_id,
        basis=basis,
        executions=len(ended),
        cost=Spread.of(costs),
        nodes=tuple(
            NodeEstimate(
                key=node.key,
                executions=len(by_node.get(node.key, ())) if ended else 0,
                cost=Spread.of(by_node.get(node.key, ())),
                held_microcredits=holds[node.key],
            )
            for node in nodes
        ),
    )


def _latest(version: GraphVersion) -> tuple[Basis, list[tuple[UUID, int]]]:
    """Return the executions to go by, with their costs: of the version if there are any, else of its graph."""
    latest = Execution.objects.filter(graph_id=version.graph_id).order_by("-id")
    rows = latest.values_list("id", "version_id", "cost_microcredits", "status", "retried_from_id")[:LATEST]
    # What went on from an earlier one has not paid for all.
    ended = [(pk, of, cost) for pk, of, cost, status, earlier in rows if status == Status.SUCCEEDED and earlier is None]
    own = [(pk, cost) for pk, of, cost in ended if of == version.pk]
    if own:
        return Basis.VERSION, own[:COUNTED]
    return (Basis.GRAPH if ended else Basis.PRICES), [(pk, cost) for pk, _, cost in ended[:COUNTED]]


def _costs_by_node(execution_ids: Collection[UUID], keys: Collection[str]) -> dict[str, list[int]]:
    """Return, by node, what its firings cost together in each of the executions."""
    # Named one by one: each id leads to its partition.
    ran = NodeExecution.objects.filter(execution_id__in=execution_ids, node_key__in=keys, started_at__isnull=False)
    sums = ran.values_list("execution_id", "node_key").annotate(
        cost=Sum(F("cost_microcredits") + F("child_cost_microcredits"))
    )
    costs: dict[str, list[int]] = defaultdict(list)
    for _, key, cost in sums:
        costs[key].append(int(cost))
    return costs


def _held(node: PlanNode) -> int | None:
    try:
        return quotes.hold_for(node, node.constants, is_own_key=False)
    except BlockError:
        return None


def _at(ordered: list[int], share: float) -> int:
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0
