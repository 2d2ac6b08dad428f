"""What firings cost is set aside before they begin, paid when they are settled, and given back on every other way out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from executions import budgets, charging, leases, ledger, services, stopped
from executions.engine.money import BudgetPeriod, BudgetScope
from executions.engine.spec import LinkSpec
from executions.engine.status import NodeStatus, Status
from executions.errors import AmountInvalid, BudgetExceeded, LeaseLost
from executions.leases import Claim, Wanted
from executions.models import Budget, Execution, Hold, LedgerEntry, NodeExecution
from executions.plans import plan_of
from executions.retrying import Ask
from executions.settle import settle
from tests.blocks import node
from tests.factories import claim_all, make_batch, make_ended, make_user, rows_of, status_of
from tests.integration.executions.paying import (
    HELD,
    Paid,
    PaidInline,
    assert_adds_up,
    begun,
    entries_of,
    make_payer,
    money_of,
    nobody_connected,
    paid,
    published,
    run,
)
from tests.invariants import assert_invariants_hold

pytestmark = pytest.mark.django_db

#: The clock of the database stands still in the one transaction of a test, however long that takes.
STANDING_S = 60.0


def claim(execution: Execution, microcredits: int = HELD, *keys: str, worker: str = "w1") -> list[Claim]:
    wanted = [Wanted(key, (), {}, hold_microcredits=microcredits) for key in keys or ["only"]]
    return claim_all(execution, wanted, worker=worker)


def end(
    execution: Execution, one: Claim, *, cost: int = 0, status: NodeStatus = NodeStatus.SUCCEEDED, **more: Any
) -> Any:
    """Settle a claimed firing that cost so much."""
    plan = plan_of(execution.version_id)
    ended = make_ended(plan, one, status, cost_microcredits=one.spent_microcredits + cost, **more)
    is_last = status is NodeStatus.SUCCEEDED and len(plan.nodes) == 1
    (answer,) = settle([make_batch(execution, [ended], segments=[0] if is_last else [])])
    return answer


def lose(one: Claim) -> None:
    """Let the worker of a claim be gone."""
    NodeExecution.objects.filter(fence=one.fence).update(lease_expires_at=F("lease_expires_at") - timedelta(days=1))


class TestHold:
    def test_is_taken_with_the_claim(self):
        execution = begun(credit=150)

        (one,) = claim(execution)

        assert money_of(execution) == (50, 100)
        assert entries_of(execution.pk) == [("HOLD", 100)]
        hold = Hold.objects.get()
        assert (hold.fence, hold.node_key, hold.attempt, hold.root_id) == (one.fence, "only", 1, execution.pk)

    def test_that_does_not_fit_gives_the_claim_back(self):
        execution = begun(credit=99)

        (one,) = claim(execution)

        assert one.refusal == "only may cost $0.0001, and the credit of its owner has only $0.000099 left."
        assert money_of(execution) == (99, 0)
        row = rows_of(execution.pk)["only", ()]
        assert (row.status, row.lease_expires_at, row.attempt) == (NodeStatus.PENDING, None, 1)

    def test_fits_to_the_last_micro_credit(self):
        execution = begun(credit=100)

        assert [one.refusal for one in claim(execution)] == [""]
        assert money_of(execution) == (0, 100)

    def test_goes_down_to_the_overdraft(self):
        execution = begun(credit=20)
        ledger.set_overdraft(execution.owner_id, 80)

        assert [one.refusal for one in claim(execution)] == [""]
        assert money_of(execution) == (-80, 100)

    def test_has_no_end_unless_somebody_says_so(self):
        execution = begun()

        assert [one.refusal for one in claim(execution)] == [""]
        assert money_of(execution) == (-100, 100)

    def test_of_several_takes_what_fits(self):
        version = published(paid("a"), paid("b"), paid("c"), owner=make_payer(250))
        execution = begun(version)

        claims = claim(execution, 100, "a", "b", "c")

        assert sorted(bool(one.refusal) for one in claims) == [False, False, True]
        assert money_of(execution) == (50, 200)

    def test_is_not_taken_for_what_is_free(self):
        execution = begun(credit=0)

        (one,) = claim(execution, 0)
        end(execution, one)

        assert not one.refusal
        assert status_of(execution) == Status.SUCCEEDED
        assert not LedgerEntry.objects.filter(execution_id=execution.pk).exists()

    def test_of_a_lost_claim_is_given_back_for_the_next(self):
        execution = begun(credit=100)
        (lost,) = claim(execution)
        lose(lost)

        (one,) = claim(execution, 60, worker="w2")

        assert not one.refusal
        assert money_of(execution) == (40, 60)
        assert entries_of(execution.pk) == [("HOLD", 100), ("RELEASE", 100), ("HOLD", 60)]
        assert isinstance(end(execution, lost, cost=10), LeaseLost)
        end(execution, one, cost=60)
        assert money_of(execution) == (40, 0)

    def test_of_a_lost_claim_is_given_back_where_the_next_costs_nothing(self):
        execution = begun(credit=100)
        lose(claim(execution)[0])

        (one,) = claim(execution, 0, worker="w2")
        end(execution, one)

        assert money_of(execution) == (100, 0)


class TestSettle:
    @pytest.mark.parametrize(
        ("cost", "moved"),
        [
            (0, [("RELEASE", 100)]),
            (70, [("SETTLE", 70), ("RELEASE", 30)]),
            (100, [("SETTLE", 100)]),
            (130, [("SETTLE", 100), ("EXCESS", 30)]),
            (175, [("SETTLE", 100), ("EXCESS", 50), ("WRITE_OFF", 25)]),
        ],
    )
    def test_pays_what_it_cost_and_never_more_than_there_is(self, cost, moved):
        execution = begun(credit=150)
        (one,) = claim(execution)

        end(execution, one, cost=cost)

        assert entries_of(execution.pk) == [("HOLD", 100), *moved]
        assert money_of(execution) == (150 - min(cost, 150), 0)
        assert_adds_up(execution.owner_id)
        assert_invariants_hold(skew_s=STANDING_S)

    @pytest.mark.parametrize("status", [NodeStatus.FAILED, NodeStatus.CANCELLED])
    def test_pays_for_what_did_not_succeed(self, status):
        execution = begun(credit=150)
        (one,) = claim(execution)

        end(execution, one, cost=70, status=status)

        assert money_of(execution) == (80, 0)

    def test_gives_back_the_rest_when_it_is_to_be_tried_again(self):
        execution = begun(credit=100)
        (one,) = claim(execution)
        plan = plan_of(execution.version_id)
        failed = make_ended(plan, one, NodeStatus.FAILED, error={"code": "NO"}, cost_microcredits=40)
        settle([make_batch(execution, [failed.postponed(0.0)])])
        between = money_of(execution)

        (again,) = claim(execution, 50)
        end(execution, again, cost=50)

        assert (between, again.spent_microcredits) == ((60, 0), 40)
        assert entries_of(execution.pk)[-2:] == [("HOLD", 50), ("SETTLE", 50)]
        assert money_of(execution) == (10, 0)
        assert_invariants_hold(skew_s=STANDING_S)

    def test_is_written_once_whoever_asks_again(self):
        execution = begun(credit=150)
        (one,) = claim(execution)
        plan = plan_of(execution.version_id)
        batch = make_batch(execution, [make_ended(plan, one, cost_microcredits=70)], segments=[0])

        settled = [settle([batch])[0] for _ in range(3)]

        assert [one.is_final for one in settled] == [True, True, True]
        assert money_of(execution) == (80, 0)

    def test_of_several_executions_of_one_owner_pays_for_each(self):
        owner = make_payer(1000)
        executions = [begun(published(owner=owner)) for _ in range(5)]
        claims = [claim(execution)[0] for execution in executions]
        batches = [
            make_batch(execution, [make_ended(plan_of(execution.version_id), one, cost_microcredits=70)], segments=[0])
            for execution, one in zip(executions, claims, strict=True)
        ]

        settle(batches)

        assert money_of(executions[0]) == (650, 0)
        assert_adds_up(owner.pk)

    def test_without_a_claim_pays_straight_from_the_credit(self):
        execution = begun(credit=100)
        plan = plan_of(execution.version_id)
        ended = replace(make_ended(plan, Claim(execution.pk, "only", (), 0, 1), cost_microcredits=70), claim=None)
        Execution.objects.filter(pk=execution.pk).update(status=Status.RUNNING)

        settle([make_batch(execution, [ended], segments=[0])])

        assert entries_of(execution.pk) == [("SETTLE", 70)]
        assert money_of(execution) == (30, 0)


class TestRelease:
    def test_comes_with_what_is_handed_back(self):
        execution = begun(credit=100)
        claims = claim(execution)

        leases.hand_back(claims, pause_s=1.0)

        assert money_of(execution) == (100, 0)

    def test_waits_for_the_settle_of_who_took_over(self):
        execution = begun(credit=200)
        lost = claim(execution)
        lose(lost[0])
        claim(execution, worker="w2")

        leases.hand_back(lost, pause_s=1.0)

        assert money_of(execution) == (100, 100)

    def test_comes_with_the_end_of_a_cancelled_execution(self):
        execution = begun(credit=100)
        lose(claim(execution)[0])

        services.cancel(execution)

        assert status_of(execution) == Status.CANCELLED
        assert money_of(execution) == (100, 0)
        assert_invariants_hold(skew_s=STANDING_S)

    def test_comes_with_what_a_cancelled_firing_used(self):
        execution = begun(credit=100)
        (one,) = claim(execution)
        services.cancel(execution)

        end(execution, one, cost=30)

        assert status_of(execution) == Status.CANCELLED
        assert money_of(execution) == (70, 0)
        assert_invariants_hold(skew_s=STANDING_S)

    def test_comes_with_the_end_of_a_failed_execution(self):
        execution = begun(published(paid("a"), paid("b"), owner=make_payer(200)))
        lost, one = claim(execution, 100, "a", "b")
        lose(lost)

        end(execution, one, cost=10, status=NodeStatus.FAILED, error={"code": "NO"}, is_fatal=True)

        assert status_of(execution) == Status.FAILED
        assert money_of(execution) == (190, 0)
        assert_invariants_hold(skew_s=STANDING_S)

    def test_comes_with_what_reconcile_ends(self):
        execution = begun(credit=100)
        (one,) = claim(execution)
        services.cancel(execution)
        lose(one)

        stopped.end()

        assert status_of(execution) == Status.CANCELLED
        assert money_of(execution) == (100, 0)

    def test_is_found_by_who_looks_for_what_was_left_behind(self):
        execution = begun(credit=100)
        claim(execution)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("UPDATE executions_execution SET status = 'FAILED', ended_at = now()")
            cursor.execute("SET LOCAL session_replication_role = origin")

        assert (charging.release_left_behind(), charging.release_left_behind()) == (1, 0)
        assert money_of(execution) == (100, 0)


class TestBudget:
    def test_of_an_execution_refuses_what_does_not_fit(self):
        execution = begun(credit=1000)
        budgets.limit(BudgetScope.EXECUTION, execution.pk, 99, owner_id=execution.owner_id)

        (one,) = claim(execution)

        assert one.refusal == "only may cost $0.0001, and the budget of this execution has only $0.000099 left."

    def test_counts_what_is_held_and_what_is_spent(self):
        version = published(paid("a"), paid("b"), paid("c"), owner=make_payer(1000))
        execution = begun(version)
        budget = budgets.limit(BudgetScope.EXECUTION, execution.pk, 250, owner_id=execution.owner_id)
        (first,) = claim(execution, 100, "a")
        end(execution, first, cost=60)

        refusals = [one.refusal for one in claim(execution, 100, "b", "c")]

        budget.refresh_from_db()
        assert [bool(one) for one in refusals] == [False, True]
        assert (budget.spent_microcredits, budget.held_microcredits) == (60, 100)
        assert budget.remaining_microcredits == 90

    @pytest.mark.parametrize("scope", list(BudgetScope))
    def test_is_that_of_the_outermost_execution_for_all_that_it_starts(self, scope):
        root = begun(credit=1000, api_key="fingerprint")
        child = begun(published(owner=root.owner), parent_id=root.pk, parent_node="only", root_id=root.pk, depth=1)
        ids = {
            BudgetScope.EXECUTION: root.pk,
            BudgetScope.GRAPH: root.graph_id,
            BudgetScope.API_KEY: "fingerprint",
            BudgetScope.OWNER: root.owner_id,
        }
        budgets.limit(scope, ids[scope], 150, owner_id=root.owner_id)

        here, below = claim(root), claim(child)

        assert [one.refusal == "" for one in here + below] == [True, False]

    def test_begins_anew_each_day(self):
        execution = begun(credit=1000)
        budget = budgets.limit(
            BudgetScope.OWNER, execution.owner_id, 120, owner_id=execution.owner_id, period=BudgetPeriod.DAY
        )
        (one,) = claim(execution)
        end(execution, one, cost=90)
        refused = claim(later := begun(published(owner=execution.owner)))[0].refusal
        Budget.objects.update(spent_on=F("spent_on") - timedelta(days=1))

        leases.hand_back(claim(later), pause_s=0.0)

        budget.refresh_from_db()
        assert refused == "only may cost $0.0001, and the budget of today of its owner has only $0.00003 left."
        assert (budget.spent_microcredits, budget.held_microcredits) == (0, 0)

    @pytest.mark.parametrize("cost", [HELD - 30, HELD + 30])
    def test_counts_nothing_of_what_had_begun_before(self, cost):
        execution = begun(credit=1000)
        (one,) = claim(execution)
        budget = budgets.limit(BudgetScope.OWNER, execution.owner_id, 500, owner_id=execution.owner_id)

        end(execution, one, cost=cost)

        budget.refresh_from_db()
        assert (budget.spent_microcredits, budget.held_microcredits) == (0, 0)
        assert money_of(execution) == (1000 - cost, 0)

    def test_of_nobody_else_counts(self):
        execution = begun(credit=1000)
        budgets.limit(BudgetScope.OWNER, make_user().pk, 0, owner_id=execution.owner_id)

        assert claim(execution)[0].refusal == ""

    @pytest.mark.parametrize("microcredits", [-1, 2**63, True, 1.5])
    def test_is_an_amount(self, microcredits):
        with pytest.raises(AmountInvalid):
            services.start(version_id=published().pk, owner_id=make_user().pk, budget_microcredits=microcredits)


@pytest.mark.django_db(transaction=True)
class TestExecution:
    @pytest.fixture(autouse=True)
    def _tidy(self) -> Iterator[None]:
        with nobody_connected():
            yield

    @pytest.mark.parametrize("block", [Paid, PaidInline])
    def test_pays_for_what_it_used(self, block):
        execution = run(begun(published(paid(block=block), owner=make_payer(100))))

        assert execution.status == Status.SUCCEEDED
        assert execution.cost_microcredits == 70
        assert money_of(execution) == (30, 0)
        assert_invariants_hold(skew_s=STANDING_S)

    @pytest.mark.parametrize("block", [Paid, PaidInline])
    def test_ends_cleanly_where_its_credit_does(self, block):
        execution = run(begun(published(paid(block=block), owner=make_payer(99))))

        assert (execution.status, execution.error_code, execution.error_node) == (
            Status.BUDGET_EXCEEDED,
            "BUDGET_EXCEEDED",
            "only",
        )
        assert rows_of(execution.pk)["only", ()].status == NodeStatus.CANCELLED
        assert money_of(execution) == (99, 0)
        assert_invariants_hold(skew_s=STANDING_S)

    def test_keeps_what_runs_when_more_does_not_fit(self):
        nodes = [paid(key) for key in ("a", "b", "c")]
        execution = run(begun(published(*nodes, owner=make_payer(200))))

        assert execution.status == Status.BUDGET_EXCEEDED
        kept = sorted(row.status for row in rows_of(execution.pk).values())
        assert kept == [NodeStatus.CANCELLED, NodeStatus.SUCCEEDED, NodeStatus.SUCCEEDED]
        assert money_of(execution) == (60, 0)
        assert_invariants_hold(skew_s=STANDING_S)

    def test_goes_on_after_a_top_up_without_paying_twice(self):
        nodes = [paid("a", input=1), paid("b"), node("end", "test.output", name="result")]
        links = [LinkSpec("a", "output", "b", "input"), LinkSpec("b", "output", "end", "input")]
        stopped_ = run(begun(published(*nodes, links=links, owner=make_payer(110))))
        ledger.top_up(stopped_.owner_id, 60, key="more")

        ended = run(services.retry(stopped_, Ask(), owner_id=stopped_.owner_id))

        assert (stopped_.status, ended.status) == (Status.BUDGET_EXCEEDED, Status.SUCCEEDED)
        assert (stopped_.cost_microcredits, ended.cost_microcredits) == (70, 70)
        assert ended.outputs == {"result": 1}
        assert money_of(ended) == (30, 0)
        assert_invariants_hold(skew_s=STANDING_S)

    def test_is_stopped_by_its_budget_whatever_its_graph_makes_of_failures(self):
        nodes = [paid("a", input=1), paid("b", on_error="continue")]
        version = published(*nodes, links=[LinkSpec("a", "output", "b", "input")], owner=make_payer(1000))
        execution = services.start(version_id=version.pk, owner_id=version.graph.owner_id, budget_microcredits=150)

        assert run(execution).status == Status.BUDGET_EXCEEDED

    def test_hands_what_is_left_of_its_budget_on_to_its_retry(self):
        nodes = [paid("a", input=1), paid("b")]
        version = published(*nodes, links=[LinkSpec("a", "output", "b", "input")], owner=make_payer(1000))
        first = run(services.start(version_id=version.pk, owner_id=version.graph.owner_id, budget_microcredits=150))

        with pytest.raises(BudgetExceeded) as refused:
            services.retry(first, Ask(), owner_id=first.owner_id)
        more = run(services.retry(first, Ask(), owner_id=first.owner_id, budget_microcredits=100))

        assert refused.value.facts == {"shortfall_microcredits": 20}
        assert [one.status for one in (first, more)] == [Status.BUDGET_EXCEEDED, Status.SUCCEEDED]
        assert budgets.remaining_of(first.pk) == 80
