"""F25: exactly what can be paid begins, whoever dies between setting aside and paying; and what was set aside is given back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db.models import Sum

from executions import ledger
from executions.engine.money import EntryKind
from executions.models import Execution, Hold, LedgerEntry
from tests.factories import make_user
from tests.faults.blocks import COST
from tests.faults.load import Answer, Load
from tests.faults.shapes import make_one
from tests.faults.sound import assert_sound
from tests.faults.stack import Stack

pytestmark = pytest.mark.slow

UNPAID = frozenset({("BUDGET_EXCEEDED", "BUDGET_EXCEEDED")})
STARTS, PAID_FOR = 200, 100


#: A worker dies with money set aside, and its next self while it pays.
DYING = {1: "after_claim:kill9:at=2", 2: "inside_settle:kill9:at=2"}


@pytest.mark.parametrize("is_killed", [False, True])
def test_of_many_starts_as_many_succeed_as_can_be_paid(stack: Stack, load: Load, is_killed: bool):
    owner = make_user()
    ledger.set_overdraft(owner.pk, 0)
    ledger.top_up(owner.pk, PAID_FOR * COST, key="all there is")
    shape = make_one(owner=owner, also=UNPAID)
    for name in ("one", "two"):
        stack.worker(name, failpoint=lambda starts: DYING.get(starts, "") if is_killed else "")

    with ThreadPoolExecutor(32) as clients:
        answers = list(clients.map(lambda _: load.ask(shape), range(STARTS)))

    assert_sound(load)
    ends = Execution.objects.filter(owner=owner).values_list("status", flat=True)
    # Once everything was spent, more is not even taken.
    refused = [answer.status for answer in answers if isinstance(answer, Answer)]
    assert set(refused) <= {402}
    assert list(ends).count("SUCCEEDED") == PAID_FOR
    assert list(ends).count("BUDGET_EXCEEDED") + len(refused) == STARTS - PAID_FOR
    assert ledger.balance_of(owner.pk).credit_microcredits == 0
    assert not Hold.objects.filter(owner=owner).exists()
    paid = LedgerEntry.objects.filter(owner=owner, kind=EntryKind.SETTLE).aggregate(sum=Sum("amount_microcredits"))
    assert paid["sum"] == PAID_FOR * COST
