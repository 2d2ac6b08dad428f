"""F20: a storm of deliveries, many of them twice, some badly signed or too old. Each is taken once or refused, and none is lost."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection

from executions.engine.status import Status
from executions.models import Delivery, Execution
from tests.faults.load import Load
from tests.faults.sound import assert_sound
from tests.faults.stack import Stack
from tests.faults.storm import Planned, Storm, break_loose, plan
from tests.scale import many
from tests.servers import wait_until
from tests.webhooks import Sender, make_listener, make_sender

pytestmark = pytest.mark.slow

#: In so many seconds at 500 a second.
STORM = many(1000)
PATIENCE_S = 120.0


@pytest.fixture
def sender(stack: Stack) -> Sender:
    return make_sender(make_listener("number"), "standard-webhooks")


def assert_each_once(load: Load, planned: list[Planned], storm: Storm) -> None:
    """Find one delivery and one execution for each that was planned and good, the one that its senders were told, and nothing else."""
    good = {one.name: one.number for one in planned if not one.fault}
    stored = {
        one.given_id: one.execution_id for one in Delivery.objects.only("key", "execution_id").filter(status="ACCEPTED")
    }
    load.wait(ids=list(stored.values()), within_s=PATIENCE_S)
    ended = {one.pk: (one.status, one.outputs) for one in Execution.objects.all()}

    assert {name: {str(id_)} for name, id_ in stored.items()} == storm.executions
    assert {name: ended[UUID(str(id_))] for name, id_ in stored.items()} == {
        name: (Status.SUCCEEDED, {"number": number}) for name, number in good.items()
    }
    assert len(ended) == len(good) == Delivery.objects.count()


def assert_others_refused(planned: list[Planned], storm: Storm) -> None:
    faults = Counter(one.fault for one in planned if one.fault)

    assert {fault: storm.statuses[fault, 401] for fault in faults} == dict(faults)
    assert {status for fault, status in storm.statuses if not fault} <= {200, 202}
    assert storm.without_retry_after == 0


def test_a_storm_is_taken_once_or_told_to_come_again(stack: Stack, load: Load, sender: Sender):
    stack.worker("one").wait()
    planned = plan(STORM)

    storm = break_loose(sender, planned, port=stack.web_port, within_s=STORM / 500, patience_s=PATIENCE_S)

    print(
        f"{storm.refused} told to come again; p50 {storm.percentile_ms(0.5):.0f} ms, p99 {storm.percentile_ms(0.99):.0f} ms"
    )
    assert_each_once(load, planned, storm)
    assert_others_refused(planned, storm)
    assert storm.statuses["", 202] == len(storm.executions)
    assert_sound(load)


def test_none_is_lost_when_the_web_and_the_database_die_meanwhile(stack: Stack, load: Load, sender: Sender):
    stack.worker("one").wait()
    planned = plan(many(400))

    with ThreadPoolExecutor(1) as pool:
        # Processes die with the thread that started them, so the storm is on the other one.
        raging = pool.submit(break_loose, sender, planned, port=stack.web_port, within_s=3.0, patience_s=PATIENCE_S)
        wait_until(lambda: Delivery.objects.count() > len(planned) / 10, what="The beginning of the storm")
        stack.members["web"].kill9()
        stack.look()
        wait_until(lambda: Delivery.objects.count() > len(planned) / 3, what="The middle of the storm")
        connection.close()
        stack.crash_postgres()
        storm = raging.result()

    assert_each_once(load, planned, storm)
    assert_others_refused(planned, storm)
    assert storm.broken > 0
    assert_sound(load)
