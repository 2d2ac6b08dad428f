"""Budgets as their owners set them: only for what is theirs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from access.models import ApiKey
from executions import budgets
from executions.engine.money import BudgetPeriod, BudgetScope
from executions.errors import BudgetInvalid
from executions.models import Budget, Execution
from graphs.models import Graph


def limit_own(
    *,
    owner_id: int,
    scope: BudgetScope,
    scope_id: str = "",
    period: BudgetPeriod = BudgetPeriod.NONE,
    limit_microcredits: int,
) -> Budget:
    """Limit what something of an owner may cost: all of it together, or each day anew. A limit that is there already is replaced.

    Raises:
        BudgetInvalid: there is nothing like it among the owner's own.
        AmountInvalid: it is no amount from nothing up.
    """
    return budgets.limit(scope, _own(owner_id, scope, scope_id), limit_microcredits, owner_id=owner_id, period=period)


def change(budget: Budget, *, limit_microcredits: int | None = None) -> Budget:
    """Set another limit, if there is one. What was spent stays spent.

    Raises:
        AmountInvalid: it is no amount from nothing up.
    """
    if limit_microcredits is None:
        return budget
    return budgets.limit(
        BudgetScope(budget.scope),
        budget.scope_id,
        limit_microcredits,
        owner_id=budget.owner_id,
        period=BudgetPeriod(budget.period),
    )


def lift(budget: Budget) -> None:
    """Limit it no longer."""
    Budget.objects.filter(pk=budget.pk).delete()


def _own(owner_id: int, scope: BudgetScope, scope_id: str) -> str:
    """Return the id of what is limited, as budgets keep it; only of the owner's own."""
    match scope:
        case BudgetScope.OWNER:
            found = _named([str(owner_id)], scope_id)
        case BudgetScope.API_KEY:
            found = _ids(ApiKey.objects.filter(owner_id=owner_id), scope_id)
        case BudgetScope.GRAPH:
            found = _ids(Graph.objects.filter(owner_id=owner_id), scope_id)
        case BudgetScope.EXECUTION:
            # What it starts counts for it, and has no budget of its own.
            found = _ids(Execution.objects.filter(owner_id=owner_id, parent_id__isnull=True), scope_id)
    if not found:
        raise BudgetInvalid(f"You have no such {scope.value.lower().replace('_', ' ')}.", path="scope_id")
    return found[0]


def _named(own: list[str], scope_id: str) -> list[str]:
    # An owner has one of these, so it need not be named.
    return [one for one in own if scope_id in ("", one)]


def _ids(rows: QuerySet[Any], scope_id: str) -> list[str]:
    try:
        return [str(pk) for pk in rows.filter(pk=UUID(scope_id)).values_list("pk", flat=True)]
    except ValueError:
        return []
