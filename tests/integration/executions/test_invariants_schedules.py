"""Whatever is broken in the times of schedules is found, by the part that says so, and told with the right id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from agentplatform.lib.ids import uuid7
from executions import schedules
from executions.invariants import all_parts, check
from executions.models import Execution, Fire, Schedule
from tests.factories import make_user
from tests.schedules import make_schedule

pytestmark = pytest.mark.django_db


@dataclass(frozen=True, slots=True)
class Went:
    """A schedule of which one time was missed, and two were fired."""

    schedule: Schedule
    missed: Fire
    first: Fire
    second: Fire


@pytest.fixture
def went() -> Went:
    schedule = make_schedule(catch_up="skip")
    assert schedule.next_fire_at is not None
    schedules.fire_due(schedule.next_fire_at + timedelta(seconds=120))
    schedule.refresh_from_db()
    return Went(schedule, *schedule.fires.order_by("fire_at"))


def run(sql: str, *values: Any) -> None:
    """Run a statement as somebody whom no trigger stops."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, values)
        cursor.execute("SET LOCAL session_replication_role = origin")


def drop(constraint: str) -> None:
    run(f"ALTER TABLE executions_fire DROP CONSTRAINT {constraint}")


def lose_an_execution(went: Went) -> list[str]:
    run("DELETE FROM executions_execution WHERE id = %s", went.second.execution_id)
    return [str(went.second.pk)]


def lose_every_execution(went: Went) -> list[str]:
    run("DELETE FROM executions_execution")
    return [str(went.first.pk), str(went.second.pk)]


def forget_what_was_started(went: Went) -> list[str]:
    drop("a_fire_has_its_execution")
    run("UPDATE executions_fire SET execution_id = NULL WHERE id = %s", went.first.pk)
    return [str(went.first.pk)]


def start_for_somebody_else(went: Went) -> list[str]:
    run("UPDATE executions_execution SET owner_id = %s WHERE id = %s", make_user().pk, went.first.execution_id)
    return [str(went.first.pk)]


def start_what_was_missed(went: Went) -> list[str]:
    drop("a_fire_has_its_execution")
    run("UPDATE executions_fire SET execution_id = %s WHERE id = %s", uuid7(), went.missed.pk)
    return [str(went.missed.pk)]


def share_an_execution(went: Went) -> list[str]:
    run("DROP INDEX an_execution_is_of_one_fire")
    run("UPDATE executions_fire SET execution_id = %s WHERE id = %s", went.first.execution_id, went.second.pk)
    return [str(went.first.pk), str(went.second.pk)]


def fire_twice(went: Went) -> list[str]:
    drop("a_time_is_fired_once")
    run("UPDATE executions_fire SET fire_at = %s WHERE id = %s", went.first.fire_at, went.second.pk)
    return [str(went.first.pk), str(went.second.pk)]


def drop_the_key(went: Went) -> list[str]:
    drop("a_time_is_fired_once")
    return ["a_time_is_fired_once"]


def drop_the_index(went: Went) -> list[str]:
    run("DROP INDEX an_execution_is_of_one_fire")
    return ["an_execution_is_of_one_fire"]


def go_back(went: Went) -> list[str]:
    run("UPDATE executions_schedule SET next_fire_at = %s", went.second.fire_at)
    return [str(went.second.pk)]


def forget_to_look(went: Went) -> list[str]:
    run("UPDATE executions_schedule SET next_fire_at = now() - interval '1 day', due_at = now() - interval '1 day'")
    return [str(went.schedule.pk)]


BREAKS: dict[str, list[Callable[[Went], list[str]]]] = {
    "i7_fired_without_its_execution": [
        lose_an_execution,
        lose_every_execution,
        forget_what_was_started,
        start_for_somebody_else,
    ],
    "i7_started_without_being_fired": [start_what_was_missed],
    "i7_one_execution_of_two_fires": [share_an_execution, fire_twice],
    "i7_key_is_missing": [drop_the_key, drop_the_index],
    "i7_settled_and_still_to_come": [go_back],
    "i7_due_and_not_settled": [forget_to_look],
}


def test_nothing_is_found_where_nothing_is_broken(went):
    assert check(only=["I7"]) == []


@pytest.mark.parametrize(
    ("part", "break_it"), [(part, break_it) for part, breaks in BREAKS.items() for break_it in breaks]
)
def test_what_is_broken_is_found(went, part, break_it):
    ids = break_it(went)

    found = {violation.part: sorted(violation.ids) for violation in check(only=["I7"])}

    assert found[part] == sorted(ids)


def test_every_part_is_broken_by_a_test():
    assert {part.name for part in all_parts() if part.code == "I7"} == set(BREAKS)


def test_a_paused_schedule_is_not_waited_for(went):
    forget_to_look(went)
    Schedule.objects.update(is_paused=True)

    assert "i7_due_and_not_settled" not in {violation.part for violation in check(only=["I7"])}


def test_a_month_of_executions_that_was_dropped_is_no_loss(went):
    run("DELETE FROM executions_execution WHERE id = %s", went.first.execution_id)

    assert Execution.objects.count() == 1
    assert check(only=["I7"]) == []
