"""Histories of the ledger on the real database: whatever happens in whatever order, and whoever is lost in between, it adds up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db.models import F
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from executions import budgets, ledger, stopping
from executions.batch import Batch
from executions.engine.money import BudgetScope
from executions.engine.status import NodeStatus, Status
from executions.errors import CreditTooLow, LeaseLost
from executions.invariants import check
from executions.leases import Claim, Wanted
from executions.models import Budget, Execution, NodeExecution
from executions.plans import plan_of
from executions.settle import settle
from graphs.models import GraphVersion
from tests.factories import claim_all, make_batch, make_ended
from tests.integration.executions.paying import assert_adds_up, begun, make_payer, paid, published
from tests.scale import many

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

KEYS = ("a", "b", "c")
#: The clock of the database stands still in the one transaction of a test, however long that takes.
STANDING_S = 600.0


@dataclass
class Running:
    """A claim as a worker has it, who may be gone without knowing."""

    execution: Execution
    claim: Claim
    held: int
    is_lost: bool = False


class Histories(RuleBasedStateMachine):
    """One owner with some credit, executions of three firings each, and what the ledger should say of them."""

    def __init__(self) -> None:
        super().__init__()
        self.owner = make_payer(0)
        self.version: GraphVersion = published(*[paid(key) for key in KEYS], owner=self.owner)
        self.credit, self.held, self.spent = 0, 0, 0
        self.limit: int | None = None
        self.going: list[Execution] = []
        self.running: list[Running] = []
        self.moved = 0

    def room(self) -> int:
        """Return how much can still be set aside."""
        left = self.credit
        return left if self.limit is None else min(left, self.limit - self.spent - self.held)

    @rule(amount=st.integers(1, 200))
    def top_up(self, amount: int) -> None:
        self.moved += 1
        key = f"top-up {self.moved}"
        for _ in range(2):  # the shop asks twice
            ledger.top_up(self.owner.pk, amount, key=key)
        self.credit += amount

    @rule(amount=st.integers(1, 200))
    def take_back(self, amount: int) -> None:
        self.moved += 1
        try:
            ledger.adjust(self.owner.pk, -amount, key=f"adjustment {self.moved}")
        except CreditTooLow:
            assert self.credit < amount
        else:
            self.credit -= amount

    @precondition(lambda self: self.limit is None)
    @rule(limit=st.integers(0, 300))
    def set_a_budget(self, limit: int) -> None:
        budgets.limit(BudgetScope.OWNER, self.owner.pk, self.spent + limit, owner_id=self.owner.pk)
        # What is spent and held before there is a budget does not count for it.
        if not self.held:
            Budget.objects.filter(owner=self.owner).update(spent_microcredits=self.spent)
            self.limit = self.spent + limit
        else:
            Budget.objects.filter(owner=self.owner).delete()

    @precondition(lambda self: len(self.going) < 3)
    @rule()
    def begin(self) -> None:
        self.going.append(begun(self.version))

    @precondition(lambda self: self.going)
    @rule(data=st.data(), amount=st.integers(1, 120))
    def claim(self, data: st.DataObject, amount: int) -> None:
        execution, key = data.draw(st.sampled_from(self.going)), data.draw(st.sampled_from(KEYS))
        before = next((one for one in self.running if one.execution == execution and one.claim.node_key == key), None)
        if before and before.is_lost:
            self.held -= before.held
            self.credit += before.held
            fits = self.room() >= amount
        else:
            fits = self.room() >= amount
        granted = claim_all(execution, [Wanted(key, (), {}, hold_microcredits=amount)], worker=f"w{self.moved}")
        if before and before.is_lost:
            assert len(granted) == 1
            before.held = 0
        if not granted:
            return  # somebody has it, or it has ended
        (one,) = granted
        assert bool(one.refusal) == (not fits)
        if not one.refusal:
            self.credit -= amount
            self.held += amount
            self.running.append(Running(execution, one, amount))
        if before:
            self.running.remove(before)
            self.gone.append(before)

    @property
    def gone(self) -> list[Running]:
        """Return those whose place another has taken."""
        return self.__dict__.setdefault("_gone", [])

    @precondition(lambda self: any(not one.is_lost for one in self.running))
    @rule(data=st.data())
    def lose_a_worker(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from([one for one in self.running if not one.is_lost]))
        rows = NodeExecution.objects.filter(execution=one.execution, node_key=one.claim.node_key)
        rows.update(lease_expires_at=F("lease_expires_at") - timedelta(days=1))
        one.is_lost = True

    @precondition(lambda self: self.running)
    @rule(data=st.data(), cost=st.integers(0, 150), fails=st.booleans())
    def settle(self, data: st.DataObject, cost: int, fails: bool) -> None:
        one = data.draw(st.sampled_from(self.running))
        (answer,) = settle([self.batch(one, cost, fails=fails)])
        assert not isinstance(answer, Exception)
        self.running.remove(one)
        self.gone.append(one)
        self.held -= one.held
        self.credit += one.held
        self.credit -= min(cost, max(self.credit, 0) if cost > one.held else cost)
        self.spent += cost

    @precondition(lambda self: self.gone)
    @rule(data=st.data(), cost=st.integers(1, 150))
    def settle_too_late(self, data: st.DataObject, cost: int) -> None:
        one = data.draw(st.sampled_from(self.gone))
        # Refused, or known already: in both cases nothing moves.
        settle([self.batch(one, cost, fails=False)])

    @precondition(lambda self: self.going)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        execution = data.draw(st.sampled_from(self.going))
        stopping.cancel(Execution.objects.get(pk=execution.pk))
        self.going.remove(execution)
        mine = [one for one in self.running if one.execution == execution]
        for one in mine:
            (answer,) = settle([self.batch(one, 0, fails=False)])
            # Whose worker is gone was cancelled at once; the others are settled as cancelled.
            assert not isinstance(answer, Exception) or isinstance(answer, LeaseLost) or one.is_lost
            self.running.remove(one)
            self.held -= one.held
            self.credit += one.held
        assert Execution.objects.get(pk=execution.pk).status == Status.CANCELLED

    def batch(self, one: Running, cost: int, *, fails: bool) -> Batch:
        plan = plan_of(self.version.pk)
        status = NodeStatus.FAILED if fails else NodeStatus.SUCCEEDED
        ended = make_ended(plan, one.claim, status, cost_microcredits=one.claim.spent_microcredits + cost)
        return make_batch(one.execution, [ended])

    @invariant()
    def says_what_it_should(self) -> None:
        balance = ledger.balance_of(self.owner.pk)
        assert (balance.credit_microcredits, balance.held_microcredits) == (self.credit, self.held)
        assert balance.credit_microcredits >= 0
        if self.limit is not None:
            budget = Budget.objects.get(owner=self.owner)
            assert (budget.spent_microcredits, budget.held_microcredits) == (self.spent, self.held)

    def teardown(self) -> None:
        assert_adds_up(self.owner.pk)
        assert check(only=["I5"], grace_s=STANDING_S, skew_s=STANDING_S) == []


def test_every_history_adds_up():
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=many(20),
            stateful_step_count=25,
            deadline=None,
            # Each step is several commits: a failure is read as it was found.
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
