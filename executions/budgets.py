"""Limits to what executions may cost: of one, of all of a graph, of an API key, of an owner."""

from __future__ import annotations

from uuid import UUID

from agentplatform.lib.clock import now
from executions.engine.money import MOST_MICROCREDITS, BudgetPeriod, BudgetScope
from executions.errors import AmountInvalid
from executions.models import Budget


def limit(
    scope: BudgetScope,
    scope_id: UUID | int | str,
    microcredits: int,
    *,
    owner_id: int,
    period: BudgetPeriod = BudgetPeriod.NONE,
) -> Budget:
    """Set what executions of a scope may cost from now on: what was spent before counts for a budget that is there already.

    Raises:
        AmountInvalid: it is no amount from nothing up.
    """
    check(microcredits)
    budget, _ = Budget.objects.update_or_create(
        scope=scope,
        scope_id=str(scope_id),
        period=period,
        defaults={"limit_microcredits": microcredits},
        create_defaults={"limit_microcredits": microcredits, "owner_id": owner_id, "spent_on": now().date()},
    )
    return budget


def remaining_of(execution_id: UUID) -> int | None:
    """Return what is left of the budget of an execution, or None if it has none."""
    budget = Budget.objects.filter(scope=BudgetScope.EXECUTION, scope_id=str(execution_id)).first()
    return budget.remaining_microcredits if budget else None


def check(microcredits: int) -> None:
    """Refuse what can not be a limit.

    Raises:
        AmountInvalid: it is no amount from nothing up.
    """
    if isinstance(microcredits, bool) or not isinstance(microcredits, int):
        raise AmountInvalid("A budget is a whole number of micro-credits.", path="budget_microcredits")
    if not 0 <= microcredits <= MOST_MICROCREDITS:
        raise AmountInvalid(
            f"A budget can be 0 to {MOST_MICROCREDITS:,} micro-credits.",
            hint="Give a whole number of micro-credits, zero or more.",
            path="budget_microcredits",
        )
