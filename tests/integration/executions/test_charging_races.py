"""Who pays while others set aside, cancel and give back: nobody waits in a circle, and not a micro-credit is lost or made."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F

from executions import budgets, charging, leases, ledger, stopping
from executions.batch import Batch
from executions.engine.money import BudgetScope
from executions.engine.status import NodeStatus
from executions.invariants import check
from executions.leases import Claim, Wanted
from executions.models import Account, Budget, Execution, Hold, NodeExecution
from executions.plans import plan_of
from executions.settle import settle
from tests.factories import claim_all, make_batch, make_ended
from tests.integration.executions.paying import HELD, assert_adds_up, begun, make_payer, money_of, paid, published
from tests.integration.executions.races import at_once
from tests.servers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

THREADS, ROUNDS = 6, 12
CREDIT = 10_000_000


def batch_of(execution: Execution, claim: Claim, cost: int) -> Batch:
    ended = make_ended(plan_of(execution.version_id), claim, cost_microcredits=cost)
    return make_batch(execution, [ended], segments=[0])


def wanted(key: str = "only", microcredits: int = HELD) -> list[Wanted]:
    return [Wanted(key, (), {}, hold_microcredits=microcredits)]


def pay(batches: Sequence[Batch]) -> list[Any]:
    """Settle on a thread."""
    try:
        return settle(batches)
    finally:
        connection.close()


def give_back() -> int:
    """Give back what was left behind, on a thread."""
    try:
        return charging.release_left_behind()
    finally:
        connection.close()


def end_without_giving_back(execution: Execution) -> None:
    """End an execution as none ends, with what is held for it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE executions_execution SET status = 'FAILED', ended_at = now() WHERE id = %s", [execution.pk]
        )


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


@pytest.mark.parametrize("cost", [HELD, HELD + 1])
def test_who_waits_for_a_budget_has_nobodys_credit(cost):
    limited = begun(credit=CREDIT)
    free = begun(published(owner=limited.owner))
    budget = budgets.limit(BudgetScope.GRAPH, limited.graph_id, CREDIT, owner_id=limited.owner_id)
    batches = [batch_of(one, claim_all(one, wanted())[0], cost) for one in (limited, free)]

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Budget.objects.select_for_update().get(pk=budget.pk)
            paying = pool.submit(pay, batches)
            wait_until(somebody_waits, what="That it waits for the budget")
            # As whoever sets money aside for this budget would next.
            list(Account.objects.filter(owner=limited.owner).select_for_update(nowait=True))
        assert [one.is_final for one in paying.result()] == [True, True]

    assert money_of(limited) == (CREDIT - 2 * cost, 0)
    assert_adds_up(limited.owner_id)


def test_what_an_ended_execution_has_left_is_given_back_in_the_order_of_all():
    first, second = make_payer(CREDIT), make_payer(CREDIT)
    failing, paying = begun(published(paid("a"), paid("b"), owner=first)), begun(published(owner=second))
    (lost,), (one,) = claim_all(failing, wanted("a")), claim_all(failing, wanted("b", 0))
    NodeExecution.objects.filter(fence=lost.fence).update(lease_expires_at=F("lease_expires_at") - timedelta(days=1))
    fails = make_ended(plan_of(failing.version_id), one, NodeStatus.FAILED, error={"code": "NO"}, is_fatal=True)
    batches = [batch_of(paying, claim_all(paying, wanted())[0], HELD), make_batch(failing, [fails])]

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            list(Account.objects.filter(owner=first).select_for_update())
            settling = pool.submit(pay, batches)
            wait_until(somebody_waits, what="That it waits for the credit of the first")
            list(Account.objects.filter(owner=second).select_for_update(nowait=True))
        assert [answer.is_final for answer in settling.result()] == [True, True]

    assert (money_of(failing), money_of(paying)) == ((CREDIT, 0), (CREDIT - HELD, 0))


def test_who_gives_back_what_was_left_behind_asks_for_the_credit_before_what_is_held():
    execution = begun(credit=CREDIT)
    claim_all(execution, wanted())
    end_without_giving_back(execution)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            list(Account.objects.filter(owner=execution.owner).select_for_update())
            releasing = pool.submit(give_back)
            wait_until(somebody_waits, what="That it waits for the credit")
            # As a worker would next that comes late to pay.
            list(Hold.objects.select_for_update(nowait=True))
        assert releasing.result() == 1

    assert money_of(execution) == (CREDIT, 0)
    assert_adds_up(execution.owner_id)


def test_many_that_set_aside_pay_and_give_back_at_once():
    owners = [make_payer(CREDIT) for _ in range(2)]
    versions = [published(owner=owner) for owner in owners for _ in range(2)]
    for version in versions[::2]:
        budgets.limit(BudgetScope.GRAPH, version.graph_id, CREDIT, owner_id=version.graph.owner_id)

    def work(number: int) -> int:
        spent = 0
        for turn in range(ROUNDS):
            mine = [begun(version) for version in (versions if number % 2 else reversed(versions))]
            claims = {
                one: its[0]
                for one, its in leases.claim({one.pk: wanted() for one in mine}, worker=f"w{number}").items()
            }
            if turn % 4 == 3:
                leases.hand_back(claims.values(), pause_s=0.0)
                continue
            if turn % 4 == 2:
                stopping.cancel_all([one.pk for one in mine[:2]])
            # Nothing, half of what is held, all of it; and each fifth time more than that.
            costs = [(number + turn + place) % 3 * HELD // 2 + (turn % 5 == 0) * HELD for place in range(len(mine))]
            answers = settle([batch_of(one, claims[one.pk], cost) for one, cost in zip(mine, costs, strict=True)])
            assert [answer.is_final for answer in answers] == [True] * len(mine)
            spent += sum(costs)
        return spent

    spent = sum(at_once(THREADS, work))

    balances = [ledger.balance_of(owner.pk) for owner in owners]
    assert sum(one.credit_microcredits for one in balances) == 2 * CREDIT - spent
    assert not Hold.objects.exists()
    assert_adds_up(*[owner.pk for owner in owners])
    assert check(only=["I5"]) == []
