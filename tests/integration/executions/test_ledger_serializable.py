"""F8: forty threads that pay from one account, in a database that breaks off whatever could not be in any order: exact all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection

from executions import launch, ledger, runner
from executions.engine.money import EntryKind
from executions.engine.status import Status
from executions.messages import Work
from executions.models import Execution, Hold, LedgerEntry
from tests.factories import make_execution
from tests.integration.executions.paying import (
    HELD,
    assert_adds_up,
    lanes_of,
    make_payer,
    nobody_connected,
    paid,
    published,
)
from tests.integration.executions.races import at_once
from tests.invariants import assert_invariants_hold

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

THREADS, PAID_FOR = 40, 25


@pytest.fixture
def _serializable() -> Iterator[None]:
    """Let every connection that is opened from now on demand that its transactions could have come one after the other."""
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with nobody_connected():
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
        yield
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} RESET default_transaction_isolation")


@pytest.mark.usefixtures("_serializable")
def test_as_many_are_paid_as_can_be():
    owner = make_payer(PAID_FOR * HELD)
    version = published(paid(costs=HELD), owner=owner)
    executions = [make_execution(version) for _ in range(THREADS)]

    def carry_out(number: int) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            (isolation,) = cursor.fetchone()
        execution = executions[number]
        while not execution.is_final:
            lanes = [lane for canvas in launch.compile_rest(execution) for lane in lanes_of(canvas)]
            runner.run_lanes([Work(execution.pk, lane) for lane in lanes])
            execution = Execution.objects.get(pk=execution.pk)
        return isolation

    isolations = at_once(THREADS, carry_out)

    ends = list(Execution.objects.filter(owner=owner).values_list("status", flat=True))
    assert set(isolations) == {"serializable"}
    assert (ends.count(Status.SUCCEEDED), ends.count(Status.BUDGET_EXCEEDED)) == (PAID_FOR, THREADS - PAID_FOR)
    assert ledger.balance_of(owner.pk).credit_microcredits == 0
    assert not Hold.objects.exists()
    assert LedgerEntry.objects.filter(owner=owner, kind=EntryKind.SETTLE).count() == PAID_FOR
    assert_adds_up(owner.pk)
    assert_invariants_hold()


@pytest.mark.usefixtures("_serializable")
def test_what_is_broken_off_too_often_moves_nothing_and_can_be_asked_for_again():
    owner = make_payer(0)

    def give(number: int) -> int:
        try:
            ledger.grant(owner.pk, number + 1, key=f"gift-{number}")
        except OperationalError:
            return 0
        return number + 1

    moved = sum(at_once(THREADS, give))
    after_the_first = ledger.balance_of(owner.pk).credit_microcredits
    again = [give(number) for number in range(THREADS)]

    assert 0 < after_the_first == moved
    assert 0 not in again
    assert ledger.balance_of(owner.pk).credit_microcredits == sum(range(THREADS + 1))
    assert_adds_up(owner.pk)
