"""What can be asked of money: what there is, where it went, and what executions may cost."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from agentplatform_client.calls import Call, at, given
from agentplatform_client.types import Balance, Budget, PaginatedBudgetList, PaginatedEntryList, Used

Id = str | UUID


def balance() -> Call[Balance]:
    """Say what you have, what is held of it, and what you can still spend."""
    return Call("GET", at("ledger", "balance"))


def entries(*, execution: Id | None = None, kind: str | None = None) -> Call[PaginatedEntryList]:
    """Look at every transfer, newest first."""
    return Call("GET", at("ledger"), params=given(execution=execution and str(execution), kind=kind))


def costs(
    *,
    by: Literal["day", "graph", "node", "execution"] = "day",
    since: datetime | None = None,
    until: datetime | None = None,
    graph: Id | None = None,
) -> Call[list[Used]]:
    """Add up what you have used; of the last thirty days unless you say since when."""
    params = given(
        by=by,
        since=since and since.astimezone().isoformat(),
        until=until and until.astimezone().isoformat(),
        graph=graph and str(graph),
    )
    return Call("GET", at("ledger", "costs"), params=params)


def budgets() -> Call[PaginatedBudgetList]:
    """Look at the limits you have set."""
    return Call("GET", at("budgets"))


def limit(
    *,
    scope: str,
    limit_microcredits: int,
    scope_id: str = "",
    period: Literal["NONE", "DAY"] = "NONE",
) -> Call[Budget]:
    """Set a limit to what something of yours may cost, in the place of the one there is."""
    body = {"scope": scope, "scope_id": scope_id, "period": period, "limit_microcredits": limit_microcredits}
    return Call("POST", at("budgets"), json=body)


def lift(budget: int) -> Call[None]:
    """Remove a limit."""
    return Call("DELETE", at("budgets", budget))
