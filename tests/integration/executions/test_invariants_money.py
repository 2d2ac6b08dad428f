"""Whatever is broken in the ledger is found, by the part that says so, and told with the right id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from agentplatform.lib.clock import now
from executions.engine.money import AccountKind, BudgetPeriod, BudgetScope, EntryKind, account_id
from executions.invariants import all_parts, check
from executions.leases import Claim, Wanted
from executions.models import Account, Budget, Execution, Hold, LedgerEntry, NodeExecution
from executions.plans import plan_of
from executions.settle import settle
from tests.factories import claim_all, make_batch, make_ended
from tests.integration.executions.paying import HELD, begun, published

pytestmark = pytest.mark.django_db


@dataclass(frozen=True, slots=True)
class Purse:
    """An owner with credit and a budget, of whom one firing has paid and one runs with money held for it."""

    paid: Execution
    running: Execution
    claim: Claim
    budget: Budget

    @property
    def credit(self) -> str:
        return str(account_id(AccountKind.CREDIT, self.paid.owner_id))

    @property
    def held(self) -> str:
        return str(account_id(AccountKind.HELD, self.paid.owner_id))


@pytest.fixture
def purse() -> Purse:
    paid = begun(credit=1000)
    budget = Budget.objects.create(
        owner_id=paid.owner_id,
        scope=BudgetScope.OWNER,
        scope_id=str(paid.owner_id),
        period=BudgetPeriod.NONE,
        limit_microcredits=500,
    )
    ended = make_ended(plan_of(paid.version_id), claimed(paid), cost_microcredits=70)
    settle([make_batch(paid, [ended], segments=[0])])
    running = begun(published(owner=paid.owner))
    return Purse(paid, running, claimed(running), budget)


def claimed(execution: Execution) -> Claim:
    (claim,) = claim_all(execution, [Wanted("only", (), {}, hold_microcredits=HELD)])
    return claim


def past_every_guard(change: Callable[[], Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        change()
        cursor.execute("SET LOCAL session_replication_role = origin")


def spoil(rows: Any, **fields: Any) -> None:
    past_every_guard(lambda: rows.update(**fields))


def alter(sql: str) -> None:
    past_every_guard(lambda: connection.cursor().execute(sql))


def change_a_balance(purse: Purse) -> str:
    spoil(Account.objects.filter(pk=purse.credit), balance_microcredits=F("balance_microcredits") - 1)
    return purse.credit


def forget_an_entry(purse: Purse) -> str:
    past_every_guard(lambda: LedgerEntry.objects.filter(owner_id=purse.paid.owner_id, kind=EntryKind.GRANT).delete())
    return purse.credit


def overdraw(purse: Purse) -> str:
    alter("ALTER TABLE executions_account DROP CONSTRAINT credit_stays_within_its_overdraft")
    spoil(Account.objects.filter(pk=purse.credit), balance_microcredits=-1)
    return purse.credit


def count_too_much(purse: Purse) -> str:
    spoil(Budget.objects.filter(pk=purse.budget.pk), held_microcredits=F("held_microcredits") + 1)
    return str(purse.budget.pk)


def change_a_cost(purse: Purse) -> str:
    spoil(NodeExecution.objects.filter(execution_id=purse.paid.pk), cost_microcredits=71)
    return f"{purse.paid.pk}:only:"


def pay_to_nobody(purse: Purse) -> str:
    entry = LedgerEntry.objects.filter(execution_id=purse.paid.pk, kind=EntryKind.SETTLE).get()
    spoil(LedgerEntry.objects.filter(pk=entry.pk), credit_id=-1)
    return str(entry.pk)


def pay_for_somebody_else(purse: Purse) -> str:
    entry = LedgerEntry.objects.filter(execution_id=purse.paid.pk, kind=EntryKind.SETTLE).get()
    spoil(LedgerEntry.objects.filter(pk=entry.pk), owner_id=begun(credit=1).owner_id)
    return str(entry.pk)


def hold_more(purse: Purse) -> None:
    spoil(Hold.objects.filter(fence=purse.claim.fence), amount_microcredits=HELD + 1)


def give_a_claim_up(purse: Purse) -> str:
    spoil(NodeExecution.objects.filter(execution_id=purse.running.pk), status="PENDING")
    return f"{purse.running.pk}:only:"


def end_an_execution(purse: Purse) -> str:
    spoil(Execution.objects.filter(pk=purse.running.pk), status="FAILED", ended_at=now())
    return f"{purse.running.pk}:only:"


def alter_guard(how: str, guard: str) -> Callable[[Purse], str]:
    def alter_it(_: Purse) -> str:
        alter(f"ALTER TABLE executions_ledgerentry {how} TRIGGER {guard}")
        return guard

    return alter_it


BREAKS: dict[str, list[Callable[[Purse], str]]] = {
    "i5_balance_is_not_the_sum": [change_a_balance, forget_an_entry],
    "i5_beyond_its_overdraft": [overdraw],
    "i5_budget_holds_something_else": [count_too_much],
    "i5_charged_other_than_it_cost": [change_a_cost],
    "i5_entry_between_strangers": [pay_to_nobody, pay_for_somebody_else],
    "i5_held_is_not_the_sum": [lambda purse: hold_more(purse) or purse.held],
    "i5_hold_is_not_used_up": [lambda purse: hold_more(purse) or str(purse.claim.fence)],
    "i5_hold_without_its_claim": [give_a_claim_up, end_an_execution],
    "i5_ledger_can_be_rewritten": [
        alter_guard("DISABLE", "an_entry_stays_as_it_was_written"),
        alter_guard("ENABLE REPLICA", "an_entry_stays_as_it_was_written"),
        alter_guard("DISABLE", "the_ledger_is_never_emptied"),
    ],
}
CASES = [
    pytest.param(part, how, id=f"{part}-{number}")
    for part, ways in BREAKS.items()
    for number, how in enumerate(ways, 1)
]


def test_what_is_sound_breaks_nothing(purse):
    assert check(only=["I5"]) == []


@pytest.mark.parametrize(("part", "break_it"), CASES)
def test_what_is_broken_is_told(purse, part, break_it):
    id_ = break_it(purse)

    found = [violation.ids for violation in check(only=["I5"]) if violation.part == part]

    assert len(found) == 1
    assert id_ in found[0]


def test_every_part_is_broken_by_a_test():
    assert {part.name for part in all_parts() if part.code == "I5"} == set(BREAKS)
