"""The ledger is exact, whoever moves money at the same moment, and what was written in it stays."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from executions import leases, ledger, services
from executions.engine.money import MOST_MICROCREDITS, AccountKind, EntryKind, account_id
from executions.engine.status import Status
from executions.errors import AmountInvalid, CreditTooLow, KeyInvalid, KeyTaken
from executions.leases import Wanted
from executions.models import Account, Hold, LedgerEntry
from executions.plans import plan_of
from executions.retrying import Ask, Mode
from executions.settle import settle
from executions.worker import patiently
from tests.factories import claim_all, make_batch, make_ended, make_user
from tests.integration.executions.paying import (
    HELD,
    assert_adds_up,
    begun,
    make_payer,
    money_of,
    nobody_connected,
    paid,
    published,
    run,
)
from tests.integration.executions.races import at_once
from tests.invariants import assert_invariants_hold

pytestmark = pytest.mark.django_db


class TestMovements:
    @pytest.mark.parametrize(
        ("move", "kind", "source"),
        [
            (ledger.grant, EntryKind.GRANT, AccountKind.ISSUED),
            (ledger.top_up, EntryKind.TOP_UP, AccountKind.ISSUED),
            (ledger.refund, EntryKind.REFUND, AccountKind.REVENUE),
            (ledger.adjust, EntryKind.ADJUSTMENT, AccountKind.ISSUED),
        ],
    )
    def test_are_transfers_of_their_kind(self, move, kind, source):
        owner, by = make_user(), make_user()

        entry = move(owner.pk, 5, key="k", note="why", by_id=by.pk)

        assert (entry.kind, entry.amount_microcredits, entry.note, entry.by_id) == (kind, 5, "why", by.pk)
        assert (entry.debit_id, entry.credit_id) == (account_id(source), account_id(AccountKind.CREDIT, owner.pk))
        assert ledger.balance_of(owner.pk).credit_microcredits == 5

    def test_with_the_same_key_happen_once(self):
        owner = make_user()

        entries = [ledger.top_up(owner.pk, 5, key="order-1") for _ in range(3)]

        assert len({entry.pk for entry in entries}) == 1
        assert ledger.balance_of(owner.pk).credit_microcredits == 5

    @pytest.mark.parametrize(
        "other", [lambda owner: ledger.top_up(owner, 6, key="k"), lambda owner: ledger.grant(owner, 5, key="k")]
    )
    def test_of_another_kind_or_amount_need_another_key(self, other):
        owner = make_user()
        ledger.top_up(owner.pk, 5, key="k")

        with pytest.raises(KeyTaken):
            other(owner.pk)

    def test_of_two_owners_may_have_the_same_key(self):
        for owner in (make_user(), make_user()):
            ledger.grant(owner.pk, 5, key="welcome")

            assert ledger.balance_of(owner.pk).credit_microcredits == 5

    @pytest.mark.parametrize("amount", [0, -1, 2**63, MOST_MICROCREDITS + 1, 1.5, True, "7", None])
    def test_are_whole_amounts_above_nothing(self, amount):
        owner = make_user()

        for move in (ledger.grant, ledger.top_up, ledger.refund):
            with pytest.raises((AmountInvalid, TypeError)):
                move(owner.pk, amount, key="k")

        assert ledger.balance_of(owner.pk).credit_microcredits == 0

    @pytest.mark.parametrize("key", ["", "x" * 201, "a\0b"])
    def test_have_a_key(self, key):
        with pytest.raises(KeyInvalid):
            ledger.grant(make_user().pk, 1, key=key)

    def test_put_right_either_way_down_to_the_overdraft(self):
        owner = make_payer(10)

        ledger.adjust(owner.pk, -10, key="down")

        with pytest.raises(CreditTooLow):
            ledger.adjust(owner.pk, -1, key="further")
        assert ledger.balance_of(owner.pk).credit_microcredits == 0

    def test_an_overdraft_can_not_be_less_than_is_used(self):
        owner = make_user()
        ledger.adjust(owner.pk, -10, key="down")

        with pytest.raises(CreditTooLow):
            ledger.set_overdraft(owner.pk, 9)
        assert ledger.set_overdraft(owner.pk, 10).available_microcredits == 0

    def test_begin_with_the_overdraft_of_the_settings(self, settings):
        settings.AGENTPLATFORM_DEFAULT_OVERDRAFT_MICROCREDITS = 7
        owner = make_user()
        before = ledger.balance_of(owner.pk)

        ledger.grant(owner.pk, 1, key="k")

        assert (before.available_microcredits, ledger.balance_of(owner.pk).available_microcredits) == (7, 8)


class TestGuards:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE executions_ledgerentry SET amount_microcredits = 1",
            "DELETE FROM executions_ledgerentry",
        ],
    )
    def test_refuse_to_rewrite_what_was_written(self, statement):
        ledger.grant(make_user().pk, 5, key="k")

        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)

    def test_refuse_to_empty_the_ledger(self):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("TRUNCATE executions_ledgerentry")

    @pytest.mark.parametrize(
        ("changes", "constraint"),
        [
            ({"amount_microcredits": 0}, "an_entry_moves_something"),
            ({"amount_microcredits": -1}, "an_entry_moves_something"),
            ({"kind": "GIFT"}, "an_entry_has_a_known_kind"),
            ({"debit_id": 4}, "an_entry_moves_from_one_account_to_another"),
            ({"key": "k"}, "a_key_moves_money_once"),
        ],
    )
    def test_refuse_entries_that_can_not_be(self, changes, constraint):
        entry = ledger.grant(make_user().pk, 5, key="k")
        given = {
            "kind": "SETTLE",
            "owner_id": entry.owner_id,
            "debit_id": entry.credit_id,
            "credit_id": 4,
            "amount_microcredits": 1,
        }

        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            LedgerEntry.objects.create(**given | changes)

    def test_refuse_credit_below_its_overdraft(self):
        owner = make_payer(5)

        with pytest.raises(IntegrityError, match="credit_stays_within_its_overdraft"), transaction.atomic():
            Account.objects.filter(owner=owner, kind=AccountKind.CREDIT).update(balance_microcredits=-1)

    def test_refuse_to_charge_a_claim_twice(self):
        execution = begun(credit=100)
        (one,) = claim_all(execution, [Wanted("only", (), {}, hold_microcredits=HELD)])
        given = dict(LedgerEntry.objects.filter(fence=one.fence).values().get())

        with pytest.raises(IntegrityError, match="a_claim_is_charged_once_of_a_kind"), transaction.atomic():
            LedgerEntry.objects.create(**given | {"id": None})


class TestReconcileLedger:
    def told(self, *arguments: str) -> str:
        out = StringIO()
        try:
            call_command("reconcile_ledger", *arguments, stdout=out)
        except CommandError as error:
            out.write(f"error: {error}")
        return out.getvalue()

    def test_says_that_it_adds_up(self):
        make_payer(5)

        told = self.told()

        assert "CREDIT: $0.000005\n" in told
        assert "ISSUED: -$0.000005\n" in told
        assert told.endswith("The ledger adds up.\n")

    def test_tells_a_balance_that_says_something_else(self):
        owner = make_payer(5)
        Account.objects.filter(owner=owner, kind=AccountKind.CREDIT).update(balance_microcredits=7)

        told = self.told("--fix")

        assert f"(Credit of {owner}) says $0.000007, its entries say $0.000005." in told
        assert "error: The ledger does not add up." in told

    def test_gives_back_what_was_left_behind_only_if_it_is_told_to(self):
        execution = begun(credit=100)
        claim_all(execution, [Wanted("only", (), {}, hold_microcredits=HELD)])
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("UPDATE executions_execution SET status = 'FAILED', ended_at = now()")
            cursor.execute("SET LOCAL session_replication_role = origin")

        looked, held = self.told(), Hold.objects.count()
        fixed = self.told("--fix")

        assert (held, Hold.objects.count()) == (1, 0)
        assert "I5: Money is held only for firings" in looked
        assert "Gave back what was held for 1 firings." in fixed
        assert money_of(execution) == (100, 0)


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    @pytest.fixture(autouse=True)
    def _tidy(self) -> Iterator[None]:
        with nobody_connected():
            yield

    def test_the_same_key_moves_money_once(self):
        owner = make_user()

        entries = at_once(8, lambda _: ledger.top_up(owner.pk, 5, key="order-1").pk)

        assert len(set(entries)) == 1
        assert ledger.balance_of(owner.pk).credit_microcredits == 5

    def test_exactly_as_many_begin_as_can_be_paid(self):
        owner = make_payer(100 * HELD)
        version = published(owner=owner)
        executions = [begun(version) for _ in range(200)]

        def claim(number: int) -> list[str]:
            mine = executions[number::8]
            wanted = {one.pk: [Wanted("only", (), {}, hold_microcredits=HELD)] for one in mine}
            granted = patiently(leases.claim, wanted, worker=f"w{number}")
            return [one.refusal for claims in granted.values() for one in claims]

        refusals = [one for its in at_once(8, claim) for one in its]

        assert (refusals.count(""), len(refusals)) == (100, 200)
        assert money_of(executions[0]) == (0, 100 * HELD)
        assert_adds_up(owner.pk)

    def test_many_who_claim_settle_and_pay_in_do_not_wait_in_a_circle(self):
        owners = [make_payer(50 * HELD) for _ in range(3)]
        versions = [published(owner=owner) for owner in owners]
        executions = [begun(versions[number % 3]) for number in range(48)]

        def act(number: int) -> None:
            # Each with executions of all owners in its hands, in an order of its own.
            mine = executions[number::4] if number % 2 else executions[number::4][::-1]
            wanted = {one.pk: [Wanted("only", (), {}, hold_microcredits=HELD)] for one in mine}
            claims = leases.claim(wanted, worker=f"w{number}")
            ledger.top_up(owners[number % 3].pk, 7, key=f"k{number}")
            batches = [
                make_batch(
                    one, [make_ended(plan_of(one.version_id), claims[one.pk][0], cost_microcredits=70)], segments=[0]
                )
                for one in mine
            ]
            # Without patience: nothing here may ever be asked to try again.
            assert all(getattr(answer, "is_final", False) for answer in settle(batches))

        at_once(4, act)

        assert_adds_up(*[owner.pk for owner in owners])
        assert sum(ledger.balance_of(owner.pk).credit_microcredits for owner in owners) == 3 * 5000 + 4 * 7 - 48 * 70
        assert_invariants_hold()


@pytest.mark.django_db(transaction=True)
class TestBypass:
    """S37: nobody gets for nothing what has a price."""

    @pytest.fixture(autouse=True)
    def _tidy(self) -> Iterator[None]:
        with nobody_connected():
            yield

    @pytest.mark.parametrize(
        ("given", "code"),
        [({"costs": -5}, "USAGE_INVALID"), ({"costs": 2**70}, "USAGE_INVALID")],
    )
    def test_usage_that_can_not_be_is_refused_and_moves_nothing(self, given, code):
        execution = run(begun(published_with(given, credit=100)))

        assert execution.status == Status.FAILED
        assert execution.error_code in (code, "BLOCK_CRASHED")
        assert money_of(execution) == (100, 0)
        assert_invariants_hold()

    def test_what_costs_more_than_it_said_is_paid_as_far_as_there_is_credit(self):
        execution = run(begun(published_with({"costs": 500}, credit=300)))

        assert execution.cost_microcredits == 500
        assert money_of(execution) == (0, 0)
        assert_invariants_hold()

    def test_failures_and_repetitions_are_paid(self):
        execution = run(begun(published_with({"fails": True}, credit=300)))

        assert execution.status == Status.FAILED
        assert money_of(execution) == (230, 0)

    def test_what_is_reused_is_not_paid_again_and_what_runs_is(self):
        execution = run(begun(published_with({}, credit=200)))
        again = run(services.retry(execution, Ask(mode=Mode.FROM_NODE, node="only"), owner_id=execution.owner_id))

        assert money_of(again) == (60, 0)


def published_with(given: dict[str, Any], *, credit: int) -> Any:
    return published(paid(**given), owner=make_payer(credit))
