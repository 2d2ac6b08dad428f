"""Who turns a subscription off, or removes it, while something ends: neither breaks the other, and nothing is left behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from executions import own_subscriptions
from executions.engine.status import Status
from executions.models import Execution, OutgoingDelivery
from tests.blocks import node
from tests.factories import make_execution, make_published
from tests.integration.executions.races import at_once
from tests.receiver import subscribe
from tests.servers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

URL = "http://127.0.0.1:9/hook"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
def version() -> Any:
    return make_published([node("only", "test.source")])


def end(execution: Execution) -> int:
    try:
        return Execution.objects.filter(pk=execution.pk, status=Status.QUEUED).update(
            status=Status.SUCCEEDED, ended_at=Now()
        )
    finally:
        connection.close()


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return bool(cursor.fetchone()[0])


@pytest.mark.parametrize("is_removed", [True, False], ids=["removed", "turned off"])
def test_one_that_goes_while_an_execution_ends_is_told_nothing_and_fails_nothing(version, is_removed):
    subscription, _ = subscribe(URL, version)
    execution = make_execution(version)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            own_subscriptions.turn_off(subscription.pk, own_subscriptions.BY_HAND)
            if is_removed:
                subscription.delete()
            ending = pool.submit(end, execution)
            wait_until(somebody_waits, what="That the end waits for it")
        assert ending.result() == 1

    assert OutgoingDelivery.objects.count() == 0
    execution.refresh_from_db()
    assert execution.status == Status.SUCCEEDED


def test_what_ends_while_one_is_turned_off_is_given_up_with_the_rest(version):
    subscription, _ = subscribe(URL, version)
    execution = make_execution(version)

    def turn_off() -> None:
        try:
            own_subscriptions.update(subscription, is_enabled=False)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Execution.objects.filter(pk=execution.pk).update(status=Status.SUCCEEDED, ended_at=Now())
            turning = pool.submit(turn_off)
            wait_until(somebody_waits, what="That it waits for what is just written")
        turning.result()

    assert list(OutgoingDelivery.objects.values_list("status", "error_code")) == [("FAILED", "SUBSCRIPTION_DISABLED")]


def test_many_ends_at_once_are_told_each_once(version):
    subscribe(URL, version)
    made = [make_execution(version) for _ in range(6)]

    at_once(6, lambda number: end(made[number]) + end(made[(number + 1) % 6]))

    told = sorted(OutgoingDelivery.objects.values_list("execution_id", flat=True))
    assert told == sorted(one.pk for one in made)
