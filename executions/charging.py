"""Set money aside for firings that are claimed, let them pay when they are settled, and give back what they did not need.

Everything here takes part in the caller's transaction and locks budgets, then accounts, after all that the caller locks: so nobody waits in
a circle. Firings that cost nothing never come here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.db import transaction

from agentplatform.lib.money import show
from executions import statements
from executions.engine.items import Path
from executions.engine.money import BudgetPeriod, BudgetScope, Charge, Held, Movement, Purses, Quote, pay, set_aside
from executions.engine.status import FINAL
from executions.models import Execution, Hold

Place = tuple[UUID, str, Path]

#: So many executions are looked after at once.
AT_ONCE = 200
#: How people are told whose a budget is.
OF_SCOPE = {
    BudgetScope.EXECUTION: "this execution",
    BudgetScope.GRAPH: "its graph",
    BudgetScope.API_KEY: "its API key",
    BudgetScope.OWNER: "its owner",
}


@dataclass(frozen=True, slots=True)
class Amount:
    """What a claimed firing may cost, or has cost."""

    execution_id: UUID
    node_key: str
    path: Path
    fence: int
    attempt: int
    microcredits: int

    @property
    def place(self) -> Place:
        """Return which firing it is."""
        return self.execution_id, self.node_key, self.path


def hold(amounts: Sequence[Amount]) -> dict[int, str]:
    """Set money aside for firings that are just being claimed. Return, by fence, why there is not enough for some.

    What was set aside for an earlier claim of one of them is given back first.
    """
    locked = _Locked.of(amounts)
    quotes = [Quote(**locked.asked(one)) for one in amounts]
    moves, refused = set_aside(quotes, locked.purses())
    places = {one.fence: place for place, one in enumerate(amounts)}
    held = [quote for quote in quotes if quote.microcredits and quote.fence not in refused]
    spent = _Spent()
    for quote in held:
        spent.add(quote.budget_ids, held=quote.microcredits)
    gone = [quote.before for quote in quotes if quote.before]
    for before in gone:
        spent.add(before.budget_ids, held=-before.microcredits)
    records = [
        locked.about(amounts[places[one.fence]])
        | {"amount": one.microcredits, "budget_ids": one.budget_ids, "fence": one.fence}
        for one in held
    ]
    locked.write(amounts, moves, gone=gone, spent=spent, holds=records)
    return {fence: locked.refusal(lacking, amounts[places[fence]]) for fence, lacking in refused.items()}


def settle(amounts: Sequence[Amount], *, ended: Collection[UUID] = ()) -> None:
    """Let firings pay for what they cost: out of what was set aside for them, the rest of which is given back, then out of the credit.

    With it goes back what is still set aside for executions that have ended: asked for later, its locks would come after others' credit.
    """
    paying = {one.place for one in amounts}
    amounts = [*amounts, *(one for one in _left_of(ended) if one.place not in paying)]
    if not amounts:
        return
    with statements.together() as send:
        left = settle_held(send, amounts)
    settle_rest(amounts, left)


def settle_held(send: Callable[..., statements.Cursor], amounts: Sequence[Amount]) -> statements.Cursor:
    """Send the statement by which claims pay out of what is held for them, where that is all there is to do. It tells of the others."""
    fences, costs = ",".join(str(one.fence) for one in amounts), ",".join(str(one.microcredits) for one in amounts)
    # Written by hand: for twenty firings, psycopg's lists take a tenth of the time of the whole statement.
    return send("money_settle", fences=f"{{{fences}}}", costs=f"{{{costs}}}")


def settle_rest(amounts: Sequence[Amount], left: statements.Cursor) -> None:
    """Let those pay that `settle_held` has left."""
    fences = {fence for (fence,) in left}
    if not fences:
        return
    amounts = [one for one in amounts if one.fence in fences]
    locked = _Locked.of(amounts)
    charges = [locked.charge(one) for one in amounts]
    spent = _Spent()
    for charge in charges:
        spent.add(charge.budget_ids, spent=charge.microcredits)
        if charge.held:
            spent.add(charge.held.budget_ids, held=-charge.held.microcredits)
    gone = [charge.held for charge in charges if charge.held]
    locked.write(amounts, pay(charges, locked.purses()), gone=gone, spent=spent)


def release(execution_ids: Collection[UUID]) -> int:
    """Give back what is still set aside for executions that have ended. Return for how many firings."""
    left = _left_of(execution_ids)
    settle(left)
    return len(left)


def release_left_behind(*, limit: int = AT_ONCE) -> int:
    """Give back what is still set aside for executions that have ended, whoever forgot to. Return for how many firings."""
    with transaction.atomic(durable=True):
        ended = Execution.objects.filter(status__in=FINAL, pk__in=Hold.objects.values("execution_id"))
        ids = list(ended.values_list("pk", flat=True)[:limit])
        # Their ends are long over, so a worker that comes late waits for no lock of theirs: it asks for the credit, then for what is held.
        with statements.together() as send:
            send("money_lock_budgets", ids=ids)
            send("money_lock_credit", ids=ids, owners=[])
        return release(ids)


def _left_of(execution_ids: Collection[UUID]) -> list[Amount]:
    """Lock what is still set aside for executions that have ended, and return it as what costs nothing."""
    if not execution_ids:
        return []
    with statements.cursor() as cursor:
        statements.run(cursor, "money_holds_of", ids=list(execution_ids))
        return [
            Amount(execution_id, key, tuple(path), fence, attempt, 0)
            for execution_id, key, path, fence, attempt in cursor
        ]


class _Spent:
    """What budgets have to count."""

    def __init__(self) -> None:
        self._of: dict[int, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, budget_ids: Iterable[int], *, spent: int = 0, held: int = 0) -> None:
        for budget_id in budget_ids:
            self._of[budget_id][0] += spent
            self._of[budget_id][1] += held

    def records(self) -> list[dict[str, int]]:
        return [{"id": one, "spent": spent, "held": held} for one, (spent, held) in self._of.items() if spent or held]


@dataclass(frozen=True, slots=True)
class _Owed:
    """Whose an execution is, and what its owner has."""

    owner_id: int
    root_id: UUID
    graph_id: UUID
    balance: int
    overdraft: int | None


@dataclass(frozen=True, slots=True)
class _Limit:
    """A budget as it is locked."""

    scope: BudgetScope
    period: BudgetPeriod
    limit: int
    left: int


@dataclass(frozen=True, slots=True)
class _Locked:
    """What is held, owned and limited around some firings: all of it locked until the end of the transaction."""

    held: Mapping[Place, Held]
    owed: Mapping[UUID, _Owed]
    budgets: Mapping[int, _Limit]
    budget_ids: Mapping[UUID, tuple[int, ...]]

    @classmethod
    def of(cls, amounts: Sequence[Amount]) -> Self:
        """Lock it."""
        ids = list({one.execution_id for one in amounts})
        places = [
            {"execution_id": str(one.execution_id), "node_key": one.node_key, "item_path": one.path} for one in amounts
        ]
        overdraft = settings.AGENTPLATFORM_DEFAULT_OVERDRAFT_MICROCREDITS
        with statements.together() as send:
            holds = send("money_holds", places=statements.records(places))
            send("money_open", ids=ids, owners=[], overdraft=overdraft)
            limits = send("money_lock_budgets", ids=ids)
            send("money_lock_credit", ids=ids, owners=[])
            credit = send("money_credit", ids=ids)
        counted = [budget_id for (budget_id,) in limits]
        owed = {row[0]: _Owed(*row[1:]) for row in credit}
        budgets: dict[int, _Limit] = {}
        of: dict[UUID, list[int]] = defaultdict(list)
        if counted:
            with statements.cursor() as cursor:
                statements.run(cursor, "money_budgets", ids=ids, locked=counted)
                for execution_id, budget_id, scope, period, limit, held, spent in cursor:
                    of[execution_id].append(budget_id)
                    budgets[budget_id] = _Limit(BudgetScope(scope), BudgetPeriod(period), limit, limit - spent - held)
        found = {(row[4], row[5], tuple(row[6])): Held(row[0], row[1], row[2], tuple(row[3])) for row in holds}
        return cls(found, owed, budgets, {execution_id: tuple(its) for execution_id, its in of.items()})

    def asked(self, amount: Amount) -> dict[str, Any]:
        """Return what the rules want to know of an amount."""
        return {
            "fence": amount.fence,
            "owner_id": self.owed[amount.execution_id].owner_id,
            "microcredits": amount.microcredits,
            "budget_ids": self.budget_ids.get(amount.execution_id, ()),
            "before": self.held.get(amount.place),
        }

    def charge(self, amount: Amount) -> Charge:
        """Return what is to be paid: it counts for the budgets that there were when it was held for, as where nobody looks for others."""
        asked = self.asked(amount)
        held: Held | None = asked["before"]
        budget_ids = held.budget_ids if held and held.fence == amount.fence else asked["budget_ids"]
        return Charge(amount.fence, asked["owner_id"], amount.microcredits, budget_ids, held)

    def purses(self) -> Purses:
        """Return what may still be spent."""
        credit = {
            one.owner_id: None if one.overdraft is None else one.balance + one.overdraft for one in self.owed.values()
        }
        return Purses(credit, {budget_id: one.left for budget_id, one in self.budgets.items()})

    def about(self, amount: Amount) -> dict[str, Any]:
        """Return what rows say of the firing that an amount is for."""
        owed = self.owed[amount.execution_id]
        return {
            "owner_id": owed.owner_id,
            "execution_id": str(amount.execution_id),
            "root_id": str(owed.root_id),
            "graph_id": str(owed.graph_id),
            "node_key": amount.node_key,
            "item_path": amount.path,
            "attempt": amount.attempt,
        }

    def write(
        self,
        amounts: Sequence[Amount],
        moves: Sequence[Movement],
        *,
        gone: Sequence[Held],
        spent: _Spent,
        holds: Sequence[dict[str, Any]] = (),
    ) -> None:
        """Write what was decided, in one visit to the database."""
        entries = [
            self.about(amounts[one.place])
            | {
                "kind": one.kind,
                "debit": one.debit,
                "credit": one.credit,
                "amount": one.microcredits,
                "fence": one.fence,
            }
            for one in moves
        ]
        budgets = spent.records()
        with statements.together() as send:
            if gone:
                send("money_unhold", fences=[one.fence for one in gone])
            if holds:
                send("money_hold", holds=statements.records(holds))
            if budgets:
                send("money_spend", budgets=statements.records(budgets))
            if entries:
                send("money_move", entries=statements.records(entries))

    def refusal(self, lacking: str | int, amount: Amount) -> str:
        """Say what has too little for a firing."""
        price = f"{amount.node_key} may cost {show(amount.microcredits)}"
        if isinstance(lacking, int):
            budget = self.budgets[lacking]
            day = " of today" if budget.period is BudgetPeriod.DAY else ""
            return (
                f"{price}, and the budget{day} of {OF_SCOPE[budget.scope]} has only {show(max(0, budget.left))} left."
            )
        owed = self.owed[amount.execution_id]
        return (
            f"{price}, and the credit of its owner has only {show(max(0, owed.balance + (owed.overdraft or 0)))} left."
        )
