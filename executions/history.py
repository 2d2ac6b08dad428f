"""What nodes have cost before: what an estimate goes by."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Aggregate, Avg, BigIntegerField, Count, F

from executions.engine.status import NodeStatus
from executions.models import Execution, NodeExecution

#: So many of the graph's latest executions say what a node usually costs.
LATEST = 50


@dataclass(frozen=True, slots=True)
class Usual:
    """What all firings of a node usually cost together, and what they seldom cost more than, in micro-credits."""

    microcredits: int = 0
    p95_microcredits: int = 0


class P95(Aggregate):
    """What nineteen of twenty values are at the most."""

    template = "percentile_disc(0.95) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = BigIntegerField()


def costs_of(execution: Execution, node_keys: Collection[str]) -> dict[str, Usual]:
    """Return what each node is likely to cost if it runs as often as in this execution."""
    latest = Execution.objects.filter(graph_id=execution.graph_id).order_by("-id").values_list("id", flat=True)[:LATEST]
    ran = NodeExecution.objects.filter(node_key__in=node_keys, status=NodeStatus.SUCCEEDED, origin_id__isnull=True)
    cost = F("cost_microcredits") + F("child_cost_microcredits")
    # Named one by one: each id leads to its partition.
    usual = (
        ran.filter(execution_id__in=[*latest, execution.pk])
        .values_list("node_key")
        .annotate(mean=Avg(cost), p95=P95(cost))
    )
    firings = NodeExecution.objects.filter(execution_id=execution.pk, node_key__in=node_keys)
    counts = dict(firings.values_list("node_key").annotate(count=Count("*")))
    return {key: Usual(round(mean * counts.get(key, 1)), p95 * counts.get(key, 1)) for key, mean, p95 in usual}
