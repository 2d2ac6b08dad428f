"""What nodes have cost before: what an estimate goes by."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Avg, Count, F

from executions.engine.status import NodeStatus
from executions.models import Execution, NodeExecution

#: So many of the graph's latest executions say what a node usually costs.
LATEST = 50


def costs_of(execution: Execution, node_keys: Collection[str]) -> dict[str, int]:
    """Return what each node is likely to cost if it runs as often as in this execution, in micro-credits."""
    latest = Execution.objects.filter(graph_id=execution.graph_id).order_by("-id").values_list("id", flat=True)[:LATEST]
    ran = NodeExecution.objects.filter(node_key__in=node_keys, status=NodeStatus.SUCCEEDED, origin_id__isnull=True)
    # Named one by one: each id leads to its partition.
    usual = dict(
        ran.filter(execution_id__in=[*latest, execution.pk])
        .values_list("node_key")
        .annotate(cost=Avg(F("cost_microcredits") + F("child_cost_microcredits")))
    )
    firings = NodeExecution.objects.filter(execution_id=execution.pk, node_key__in=node_keys)
    counts = dict(firings.values_list("node_key").annotate(count=Count("*")))
    return {key: round(cost * counts.get(key, 1)) for key, cost in usual.items()}
