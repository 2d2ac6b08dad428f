"""The console's page of what is waited for: who sees what, and how people answer there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from agentplatform.lib.clock import now
from executions.decisions import DECISION_FORM
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.models import NodeExecution, Wait
from tests.factories import make_execution, make_user
from tests.waiters import make_wait

pytestmark = pytest.mark.django_db

HOSTILE = "<img src=x onerror=alert(1)>"
FORM: dict[str, Any] = {
    "type": "object",
    "$defs": {"Account": {"enum": ["main", "travel"], "type": "string"}},
    "properties": {
        "amount": {"type": "integer", "title": "Amount", "minimum": 0},
        "rate": {"type": "number"},
        "account": {"$ref": "#/$defs/Account"},
        "note": {"anyOf": [{"type": "string", "maxLength": 500}, {"type": "null"}], "default": None},
        "day": {"type": "string", "format": "date"},
        "urgent": {"type": "boolean"},
        "comment": {"type": "string"},
        "items": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["amount"],
}


@pytest.fixture
def root():
    return get_user_model().objects.create_superuser("root")


@pytest.fixture
def console(root):
    return console_of(root)


@pytest.fixture
def execution():
    return make_execution(status=Status.WAITING)


def console_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def clerk(*permissions: str):
    user = get_user_model().objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def page(console: Client, wait: Wait) -> Any:
    return console.get(reverse("admin:executions_wait_change", args=[wait.pk]))


def listed(console: Client, **query: str) -> str:
    return console.get(reverse("admin:executions_wait_changelist"), query).content.decode()


def answer(console: Client, wait: Wait, **fields: Any) -> Any:
    return console.post(reverse("admin:executions_wait_answer", args=[wait.pk]), fields)


def test_what_waits_for_people_comes_first(console, execution):
    make_wait(execution, title="Open approval")
    make_wait(execution, "a", title="Open decision", kind=WaitKind.DECISION)
    make_wait(execution, "b", title="Closed approval", status=WaitStatus.ANSWERED, answered_at=now())
    make_wait(execution, "c", title="A timer", kind=WaitKind.TIMER, due_at=now())

    seen = {
        shown: [title for title in ("Open approval", "Open decision", "Closed approval", "A timer") if title in text]
        for shown in ("", "open", "closed", "all")
        for text in [listed(console, **({"shown": shown} if shown else {}))]
    }

    assert seen == {
        "": ["Open approval", "Open decision"],
        "open": ["Open approval", "Open decision", "A timer"],
        "closed": ["Closed approval"],
        "all": ["Open approval", "Open decision", "Closed approval", "A timer"],
    }


def test_finds_by_what_it_says(console, execution):
    make_wait(execution, title="Pay Ada?")
    make_wait(make_execution(status=Status.WAITING), "other", title="Pay Ben?")

    for term in ("ada", "only", str(execution.pk)):
        text = listed(console, q=term)
        assert ("Pay Ada?" in text, "Pay Ben?" in text) == (True, False)


def test_a_list_asks_as_little_for_many_as_for_one(console, execution, django_assert_max_num_queries):
    make_wait(execution)
    listed(console)
    for number in range(15):
        make_wait(execution, f"node-{number}")

    with django_assert_max_num_queries(12):
        listed(console)


def test_nothing_that_users_wrote_is_markup(console, execution):
    execution.owner.username = HOSTILE
    execution.owner.save()
    form = {"properties": {HOSTILE: {"title": HOSTILE, "description": HOSTILE, "enum": [HOSTILE]}}}
    wait = make_wait(execution, title=HOSTILE, data={HOSTILE: HOSTILE}, form=form)
    edited = make_wait(execution, "edited", title=HOSTILE, data=HOSTILE, is_editable=True)
    closed = make_wait(
        execution,
        "closed",
        status=WaitStatus.ANSWERED,
        answered_at=now(),
        answered_by=execution.owner,
        comment=HOSTILE,
        answer={"approved": True, "answer": {HOSTILE: HOSTILE}, "data": HOSTILE},
    )

    texts = [listed(console, shown="all"), *(page(console, one).content.decode() for one in (wait, edited, closed))]

    assert all("&lt;img src=x" in text and HOSTILE not in text for text in texts)


def test_an_answer_is_filled_in_by_type(console, root, execution):
    wait = make_wait(execution, form=FORM)

    answered = answer(
        console,
        wait,
        **{
            "approved": "yes",
            "answer-amount": "12",
            "answer-rate": "0.5",
            "answer-account": "travel",
            "answer-note": "",
            "answer-day": "2027-01-31",
            "answer-urgent": "false",
            "answer-comment": "in the form",
            "answer-items": '["a"]',
            "comment": "beside it",
        },
    )

    wait.refresh_from_db()
    assert (answered.status_code, wait.status, wait.answered_by, wait.comment) == (302, "ANSWERED", root, "beside it")
    assert wait.answer == {
        "approved": True,
        "answer": {
            "amount": 12,
            "rate": 0.5,
            "account": "travel",
            "day": "2027-01-31",
            "urgent": False,
            "comment": "in the form",
            "items": ["a"],
        },
    }
    assert NodeExecution.objects.get(execution=execution).status == NodeStatus.PENDING


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "&#x27;amount&#x27; is missing."),
        ({"answer-amount": "-1"}, "-1 is less than the minimum of 0."),
        ({"answer-amount": "many"}, "Enter a whole number."),
        ({"answer-amount": "1", "answer-items": "[1"}, "This is no JSON."),
        ({"answer-amount": "1", "answer-items": "[1]"}, "1 is not of type &#x27;string&#x27;."),
    ],
)
def test_what_is_wrong_is_said_and_what_was_written_is_kept(console, execution, fields, told):
    wait = make_wait(execution, form=FORM)

    answered = answer(console, wait, approved="yes", comment="My words.", **fields)

    text = answered.content.decode()
    assert (answered.status_code, told in text, "My words." in text) == (200, True, True)
    wait.refresh_from_db()
    assert wait.status == WaitStatus.OPEN


def test_neither_button_is_no_answer(console, execution):
    wait = make_wait(execution)

    answered = answer(console, wait)

    assert (answered.status_code, "It says neither yes nor no." in answered.content.decode()) == (200, True)


def test_who_rejects_need_not_fill_the_form_in(console, execution):
    wait = make_wait(execution, form=FORM, is_editable=True, data={"a": 1})

    answer(console, wait, approved="no", data='{"a": 2}')

    wait.refresh_from_db()
    assert wait.answer == {"approved": False}


@pytest.mark.parametrize(
    ("data", "written", "kept"),
    [
        ({"to": "Ada"}, '{"to": "Ben"}', {"to": "Ben"}),
        ("Dear Ada,\nhello", "Dear Ben,\r\nhello ", "Dear Ben,\nhello "),
        ([1], "[1, 2]", [1, 2]),
    ],
)
def test_data_is_edited_before_it_is_approved(console, execution, data, written, kept):
    wait = make_wait(execution, data=data, is_editable=True)

    answer(console, wait, approved="yes", data=written)

    wait.refresh_from_db()
    assert (wait.data, wait.answer) == (data, {"approved": True, "data": kept})


def test_data_that_was_left_as_it_is_is_not_kept_twice(console, execution):
    wait = make_wait(execution, data={"to": "Ada"}, is_editable=True)

    answer(console, wait, approved="yes", data='{"to":   "Ada"}')

    wait.refresh_from_db()
    assert wait.answer == {"approved": True}


def test_a_decision_is_taken_with_one_button(console, execution):
    wait = make_wait(execution, kind=WaitKind.DECISION, form=DECISION_FORM)
    fields = {"answer-choice": "take_output", "answer-outputs": '{"output": ["sent"]}'}

    shown = page(console, wait).content.decode()
    answer(console, wait, **fields)

    wait.refresh_from_db()
    assert ("Run again" in shown, "Approve" in shown) == (True, False)
    assert wait.answer == {"choice": "take_output", "outputs": {"output": ["sent"]}}


def test_a_late_answer_is_told_what_became_of_it(console, execution):
    wait = make_wait(execution)
    Wait.objects.filter(pk=wait.pk).close(WaitStatus.CANCELLED, answered_at=now())

    answered = console.post(reverse("admin:executions_wait_answer", args=[wait.pk]), {"approved": "yes"}, follow=True)

    assert "does not wait for this any more" in answered.content.decode()


def test_a_closed_one_is_only_looked_at(console, root, execution):
    wait = make_wait(
        execution,
        status=WaitStatus.ANSWERED,
        answered_at=now(),
        answered_by=root,
        comment="Fine.",
        answer={"approved": False},
    )

    text = page(console, wait).content.decode()

    assert ("Rejected by root" in text, "Fine." in text, "Your answer" in text) == (True, True, False)


class TestStaff:
    def test_without_any_permission_sees_and_answers_what_it_is_asked(self, execution):
        user = clerk()
        asked = make_wait(execution, allowed_users=[user.pk], title="For the clerk")
        foreign = make_wait(execution, "foreign", title="For another")
        console = console_of(user)

        text = listed(console)
        answered = answer(console, asked, approved="yes")

        assert ("For the clerk" in text, "For another" in text) == (True, False)
        assert answered.status_code == 302
        assert answer(console, foreign, approved="yes").status_code == 404
        assert page(console, foreign).status_code == 302
        assert Wait.objects.get(pk=foreign.pk).status == WaitStatus.OPEN

    def test_that_may_view_sees_all_and_answers_nothing(self, execution):
        wait = make_wait(execution)
        console = console_of(clerk("view_wait"))

        assert "Your answer" not in page(console, wait).content.decode()
        assert answer(console, wait, approved="yes").status_code == 404

    def test_that_may_change_answers_for_everybody(self, execution):
        wait = make_wait(execution, allowed_users=[make_user().pk])

        assert answer(console_of(clerk("change_wait")), wait, approved="yes").status_code == 302

    def test_nobody_else_gets_in(self, execution):
        wait = make_wait(execution)

        answered = answer(console_of(execution.owner), wait, approved="yes")

        assert (answered.status_code, "login" in answered["Location"]) == (302, True)


def test_only_a_post_answers(console, execution):
    assert console.get(reverse("admin:executions_wait_answer", args=[make_wait(execution).pk])).status_code == 405
