"""Where an execution comes from and what came from it: sub-graphs and retries, both ways, never more than fit a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from agentplatform.lib.clock import now
from agentplatform.lib.money import show
from executions.admin.shown import LABELS
from executions.models import Execution
from executions.presenting import elapsed, show_duration, show_path

SHOWN = 5
#: Beyond, nobody counts.
MOST_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Relative:
    """An execution that another one is related to."""

    execution: Execution
    label: str
    duration: str
    cost: str


@dataclass(frozen=True, slots=True)
class Offspring:
    """Executions that came from one: the newest, and how many stand how."""

    newest: tuple[Relative, ...]
    total: str
    #: Status, how many, colour.
    by_status: tuple[tuple[str, int, str], ...]
    has_more: bool


def lineage(execution: Execution) -> dict[str, Any]:
    """Return the relatives of an execution, for its page."""
    ids = {pk for pk in (execution.parent_id, execution.root_id, execution.retried_from_id) if pk}
    found = _by_id(_shown(Execution.objects.filter(pk__in=ids))) if ids else {}
    told: dict[str, Any] = {
        "parent": found.get(execution.parent_id) if execution.parent_id else None,
        "parent_path": show_path(execution.parent_path),
        "root": found.get(execution.root_id) if execution.root_id and execution.depth > 1 else None,
        "retried_from": found.get(execution.retried_from_id) if execution.retried_from_id else None,
        "sub_graphs": offspring(Execution.objects.filter(parent_id=execution.pk)),
        # Nobody goes on from what has not ended.
        "retries": offspring(Execution.objects.filter(retried_from_id=execution.pk)) if execution.is_final else None,
    }
    has_any = bool(ids or told["sub_graphs"] or told["retries"])
    return {"lineage": told} if has_any else {}


def offspring(executions: QuerySet[Execution]) -> Offspring | None:
    """Return what is shown of these executions, or None if there are none."""
    statuses = Counter(executions.order_by().values_list("status", flat=True)[: MOST_COUNTED + 1])
    if not statuses:
        return None
    counted = statuses.total()
    return Offspring(
        newest=tuple(_shown(executions.order_by("-id")[:SHOWN])),
        total=f"more than {MOST_COUNTED:,}" if counted > MOST_COUNTED else f"{counted:,}",
        by_status=tuple((status, count, LABELS[status]) for status, count in statuses.most_common()),
        has_more=counted > SHOWN,
    )


def _shown(executions: QuerySet[Execution]) -> list[Relative]:
    found = executions.prefetch_related("version__graph").defer("inputs", "outputs")
    return [
        Relative(
            one,
            LABELS[one.status],
            show_duration(elapsed(one.started_at, one.ended_at, at=now())),
            show(one.cost_microcredits) if one.cost_microcredits else "",
        )
        for one in found
    ]


def _by_id(relatives: Iterable[Relative]) -> dict[UUID, Relative]:
    return {relative.execution.pk: relative for relative in relatives}
