"""Whatever is broken in deliveries is found, by the part that says so, and told with the right id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection

from agentplatform.lib.ids import uuid7
from executions.invariants import all_parts, check
from executions.models import Delivery, Execution, StartKey
from tests.factories import make_user
from tests.webhooks import Sender, make_sender

pytestmark = pytest.mark.django_db


@dataclass(frozen=True, slots=True)
class Came:
    """A webhook with two deliveries that were accepted, and one that was ignored."""

    sender: Sender
    first: Delivery
    second: Delivery
    ignored: Delivery


@pytest.fixture
def came() -> Came:
    sender = make_sender(events=["order"])
    for name, event in (("one", "order.new"), ("two", "order.new"), ("three", "other")):
        sender.send({"event": event}, delivery_id=name)
    first, second, ignored = Delivery.objects.order_by("id")
    return Came(sender, first, second, ignored)


def run(sql: str, *values: Any) -> None:
    """Run a statement as somebody whom no trigger stops."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, values)
        cursor.execute("SET LOCAL session_replication_role = origin")


def drop(constraint: str) -> None:
    run(f"ALTER TABLE executions_delivery DROP CONSTRAINT {constraint}")


def lose_an_execution(came: Came) -> list[str]:
    run("DELETE FROM executions_execution WHERE id = %s", came.second.execution_id)
    return [str(came.second.pk)]


def lose_every_execution(came: Came) -> list[str]:
    run("DELETE FROM executions_execution")
    return [str(came.first.pk), str(came.second.pk)]


def forget_what_was_started(came: Came) -> list[str]:
    drop("an_accepted_delivery_has_its_execution")
    run("UPDATE executions_delivery SET execution_id = NULL WHERE id = %s", came.first.pk)
    return [str(came.first.pk)]


def start_for_somebody_else(came: Came) -> list[str]:
    run("UPDATE executions_execution SET owner_id = %s WHERE id = %s", make_user().pk, came.first.execution_id)
    return [str(came.first.pk)]


def start_what_was_ignored(came: Came) -> list[str]:
    drop("an_accepted_delivery_has_its_execution")
    run("UPDATE executions_delivery SET execution_id = %s WHERE id = %s", uuid7(), came.ignored.pk)
    return [str(came.ignored.pk)]


def share_an_execution(came: Came) -> list[str]:
    run("DROP INDEX an_execution_is_of_one_delivery")
    run("UPDATE executions_delivery SET execution_id = %s WHERE id = %s", came.first.execution_id, came.second.pk)
    return [str(came.first.pk), str(came.second.pk)]


def take_twice(came: Came) -> list[str]:
    drop("a_delivery_is_taken_once")
    run("UPDATE executions_delivery SET key = %s WHERE id = %s", came.first.key, came.second.pk)
    return [str(came.first.pk), str(came.second.pk)]


def drop_the_key(came: Came) -> list[str]:
    drop("a_delivery_is_taken_once")
    return ["a_delivery_is_taken_once"]


def drop_the_index(came: Came) -> list[str]:
    run("DROP INDEX an_execution_is_of_one_delivery")
    return ["an_execution_is_of_one_delivery"]


def lose_what_a_key_started(came: Came) -> list[str]:
    key = StartKey.objects.create(owner_id=came.first.webhook.owner_id, key="k", digest="d", execution_id=uuid7())
    return [str(key.pk)]


def give_a_key_to_somebody_else(came: Came) -> list[str]:
    key = StartKey.objects.create(owner=make_user(), key="k", digest="d", execution_id=came.first.execution_id)
    return [str(key.pk)]


BREAKS: dict[str, list[Callable[[Came], list[str]]]] = {
    "i6_accepted_without_its_execution": [
        lose_an_execution,
        lose_every_execution,
        forget_what_was_started,
        start_for_somebody_else,
    ],
    "i6_started_without_being_accepted": [start_what_was_ignored],
    "i6_one_execution_of_two_deliveries": [share_an_execution, take_twice],
    "i6_start_key_without_its_execution": [lose_what_a_key_started, give_a_key_to_somebody_else],
    "i6_key_is_missing": [drop_the_key, drop_the_index],
}


def test_nothing_is_found_where_nothing_is_broken(came):
    assert check(only=["I6"]) == []


@pytest.mark.parametrize(
    ("part", "break_it"), [(part, break_it) for part, breaks in BREAKS.items() for break_it in breaks]
)
def test_what_is_broken_is_found(came, part, break_it):
    ids = break_it(came)

    found = {violation.part: sorted(violation.ids) for violation in check(only=["I6"])}

    assert found[part] == sorted(ids)


def test_every_part_is_broken_by_a_test():
    assert {part.name for part in all_parts() if part.code == "I6"} == set(BREAKS)


def test_a_month_of_executions_that_was_dropped_is_no_loss(came):
    run("DELETE FROM executions_execution WHERE id = %s", came.first.execution_id)

    assert Execution.objects.count() == 1
    assert check(only=["I6"]) == []
