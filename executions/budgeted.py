"""What budgets are for, by name: they know it by its id alone, as it may be gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model

from access.models import ApiKey
from executions.engine.money import BudgetScope
from executions.models import Budget, Execution
from graphs.models import Graph

_FIND: Mapping[str, Callable[[list[Any]], Iterable[Any]]] = {
    BudgetScope.OWNER: lambda ids: get_user_model()._default_manager.filter(pk__in=ids),
    BudgetScope.GRAPH: lambda ids: Graph.objects.filter(pk__in=ids),
    BudgetScope.API_KEY: lambda ids: ApiKey.objects.filter(pk__in=ids),
    BudgetScope.EXECUTION: lambda ids: (
        Execution.objects.filter(pk__in=ids).defer("inputs", "outputs").prefetch_related("graph")
    ),
}


def name_things(budgets: Iterable[Budget]) -> None:
    """Tell budgets what they are for, so that they can say it; to those of what is gone, nothing."""
    budgets = list(budgets)
    things = _things(budgets)
    for budget in budgets:
        budget.thing = things.get((budget.scope, budget.scope_id))


def _things(budgets: Iterable[Budget]) -> dict[tuple[str, str], Any]:
    """Return what budgets are for, by scope and id, with one question for each scope; what is gone is left out."""
    ids: dict[str, set[str]] = {}
    for budget in budgets:
        ids.setdefault(budget.scope, set()).add(budget.scope_id)
    return {
        (scope, str(thing.pk)): thing
        for scope, of_scope in ids.items()
        for thing in _FIND[scope]([_pk(scope, id_) for id_ in of_scope])
    }


def _pk(scope: str, id_: str) -> int | UUID:
    return int(id_) if scope == BudgetScope.OWNER else UUID(id_)
