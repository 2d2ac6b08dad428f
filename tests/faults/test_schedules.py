"""F19: several beats, of which one dies on its way to a commit; a beat that was away. Each time starts once, or is told as missed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from agentplatform.lib.clock import now
from executions import invariants, own_schedules
from executions.engine.status import Status
from executions.models import Execution, Fire, Schedule
from tests.blocks import node
from tests.factories import make_published
from tests.faults.load import Load
from tests.faults.sound import GRACE_S
from tests.faults.stack import Stack
from tests.scale import long
from tests.schedules import every, make_schedule
from tests.servers import wait_until

pytestmark = pytest.mark.slow

SCHEDULES, ENOUGH = 5, 40
AWAY = timedelta(minutes=10)


@pytest.fixture(autouse=True)
def no_schedules_are_left(stack: Stack) -> Any:
    """Later tests of this stack find nothing that starts by itself."""
    yield
    for schedule in Schedule.objects.all():
        own_schedules.delete(schedule)


def test_three_beats_start_each_time_once_though_one_dies(stack: Stack, load: Load, settings: Any):
    settings.AGENTPLATFORM_MIN_SCHEDULE_INTERVAL_S = 1
    stack.worker("one")
    doomed = stack.beat("doomed", is_kept=False, AGENTPLATFORM_FAILPOINT="before_fire_commit:kill9:at=4")
    stack.beat("other", is_kept=False)
    version = make_published([node("only", "test.source")])
    made = [make_schedule(version, **every(1)) for _ in range(SCHEDULES)]

    wait_until(lambda: not doomed.is_up, what="The death of a beat")
    fired = Fire.objects.count()
    wait_until(lambda: Fire.objects.count() >= fired + ENOUGH, what="What the others fire")
    for schedule in made:
        own_schedules.pause(schedule)

    fires = list(Fire.objects.all())
    load.wait(ids=[fire.execution_id for fire in fires if fire.execution_id])
    assert {(fire.status, fire.reason) for fire in fires} == {("FIRED", "")}
    assert {fire.execution_id for fire in fires} == {execution.pk for execution in Execution.objects.all()}
    assert not Execution.objects.exclude(status=Status.SUCCEEDED).exists()
    for schedule in made:
        times = sorted(fire.fire_at for fire in fires if fire.schedule_id == schedule.pk)
        # None is left out: from the first to the last, one each second.
        assert times == [times[0] + timedelta(seconds=number) for number in range(len(times))]
    assert list(invariants.check(grace_s=GRACE_S)) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"catch_up": "skip"}, [("MISSED", "")] * 5),
        ({"catch_up": "once"}, [("MISSED", "")] * 4 + [("FIRED", "CAUGHT_UP")]),
        ({"catch_up": "all", "max_catch_up": 3}, [("MISSED", "")] * 2 + [("FIRED", "CAUGHT_UP")] * 3),
    ],
    ids=["skip", "once", "all"],
)
def test_a_beat_that_was_away_does_what_the_schedule_says(stack: Stack, load: Load, fields: Any, told: Any):
    stack.members["beat"].kill9()
    schedule = make_schedule(**every(120), **fields)
    # Its times were 9.5, 7.5, … and 1.5 minutes ago.
    first = now() - AWAY + timedelta(seconds=30)
    Schedule.objects.update(at=first, next_fire_at=first, due_at=first)

    stack.resume("beat")
    wait_until(lambda: schedule.fires.count() == len(told), what="The times that were missed")
    own_schedules.pause(schedule)

    became = list(schedule.fires.order_by("fire_at").values_list("status", "reason"))
    assert became == told
    assert Execution.objects.count() == sum(status == "FIRED" for status, _ in told)
    assert list(invariants.check(grace_s=GRACE_S, only=["I7"])) == []


@long
def test_a_schedule_goes_on_after_the_database_was_away(stack: Stack, load: Load, settings: Any):
    settings.AGENTPLATFORM_MIN_SCHEDULE_INTERVAL_S = 1
    schedule = make_schedule(**every(1))
    wait_until(lambda: schedule.fires.exists(), what="The first time")

    connection.close()
    stack.crash_postgres()
    before = schedule.fires.count()
    wait_until(lambda: schedule.fires.count() > before + 2, what="The times after it")
    own_schedules.pause(schedule)

    times = list(schedule.fires.order_by("fire_at").values_list("fire_at", flat=True))
    assert times == [times[0] + timedelta(seconds=number) for number in range(len(times))]
    assert list(invariants.check(grace_s=GRACE_S, only=["I7"])) == []
