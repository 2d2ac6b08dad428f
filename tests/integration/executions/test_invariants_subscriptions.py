"""Whatever is broken in what subscribers are told is found, by the part that says so, and told with the right id."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from executions.engine.status import Status
from executions.invariants import check
from executions.models import Execution, OutgoingDelivery
from tests.blocks import node
from tests.factories import make_execution, make_published
from tests.receiver import subscribe

pytestmark = pytest.mark.django_db


@pytest.fixture
def told() -> OutgoingDelivery:
    version = make_published([node("only", "test.source")])
    subscribe("http://127.0.0.1:9/hook", version)
    execution = make_execution(version)
    Execution.objects.filter(pk=execution.pk).update(status=Status.RUNNING, started_at=Now())
    Execution.objects.filter(pk=execution.pk).update(status=Status.CANCELLED, ended_at=Now())
    OutgoingDelivery.objects.filter(event="execution.started").update(status="DELIVERED", next_at=None, ended_at=Now())
    return OutgoingDelivery.objects.get(event="execution.cancelled")


def run(sql: str, *values: Any) -> None:
    """Run a statement as somebody whom no trigger stops."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, values)
        cursor.execute("SET LOCAL session_replication_role = origin")


def found(part: str) -> list[str]:
    return [
        id_ for violation in check(grace_s=60, only=["I8", "I10"]) if violation.part == part for id_ in violation.ids
    ]


def overdue(told: OutgoingDelivery) -> None:
    run("UPDATE executions_outgoingdelivery SET next_at = now() - interval '1 hour' WHERE id = %s", told.pk)


def test_nothing_is_found_where_nothing_is_broken(told):
    parts = {violation.part for violation in check(grace_s=60, only=["I8", "I10"])}

    assert not {one for one in parts if "told" in one or "telling" in one}


def test_what_is_due_and_not_sent_is_found(told):
    overdue(told)

    assert found("i8_due_and_not_told") == [str(told.pk)]


@pytest.mark.parametrize(
    "because",
    [
        "UPDATE executions_subscription SET failures = 1",
        "UPDATE executions_subscription SET is_enabled = false, disabled_reason = 'TURNED_OFF'",
        "UPDATE executions_subscription SET heard_at = now()",
        "UPDATE executions_outgoingdelivery SET leased_until = now()",
        "UPDATE auth_user SET is_active = false",
    ],
)
def test_what_has_a_reason_to_be_late_is_not(told, because):
    overdue(told)
    run(because)

    assert found("i8_due_and_not_told") == []


def test_what_did_not_happen_is_found(told):
    run("UPDATE executions_execution SET status = 'SUCCEEDED'")

    assert found("i10_told_outside_what_is_not_so") == [str(told.pk)]


def test_a_beginning_that_was_none_is_found(told):
    run("UPDATE executions_execution SET started_at = NULL")

    started = OutgoingDelivery.objects.get(event="execution.started")
    assert found("i10_told_outside_what_is_not_so") == [str(started.pk)]


@pytest.mark.parametrize(
    "how",
    [
        "ALTER TABLE executions_execution DISABLE TRIGGER subscribers_are_told_of_an_execution",
        "ALTER TABLE executions_wait DISABLE TRIGGER subscribers_are_told_of_an_answer",
        "DROP TRIGGER subscribers_are_told_of_a_question ON executions_wait",
        "ALTER TABLE executions_outgoingdelivery DROP CONSTRAINT an_event_is_told_to_each_once",
    ],
)
def test_that_nobody_tells_is_found(told, how):
    run(how)

    assert found("i10_telling_is_switched_off")
