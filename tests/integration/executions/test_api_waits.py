"""The API of approvals and events: who sees and answers what, and how it looks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from agentplatform.lib.clock import now
from executions.decisions import DECISION_FORM
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.models import NodeExecution, Wait
from tests.factories import make_execution, make_user
from tests.waiters import Amount, make_wait

pytestmark = pytest.mark.django_db

APPROVALS = "/api/v1/approvals/"
EVENTS = "/api/v1/events/"
SOME_ID = "01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9"
FORM = Amount.model_json_schema()


@pytest.fixture
def user():
    return make_user("ada")


@pytest.fixture
def api(user):
    return api_of(user)


@pytest.fixture
def execution(user):
    return make_execution(owner_id=user.pk, status=Status.WAITING)


def api_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def at(wait: Wait, path: str = "") -> str:
    return f"{APPROVALS}{wait.pk}/{path}"


def answer(api: APIClient, wait: Wait, **reply: Any) -> Any:
    return api.post(at(wait, "answer/"), reply)


def ids(response) -> list[str]:
    return [row["id"] for row in response.data["results"]]


class TestAList:
    def test_has_what_is_open_and_mine_to_answer(self, api, user, execution):
        mine = make_wait(execution)
        make_wait(execution, "closed", status=WaitStatus.ANSWERED, answered_at=now())
        make_wait(execution, "for-another", allowed_users=[make_user().pk])
        make_wait(execution, "timer", kind=WaitKind.TIMER, due_at=now())
        make_wait(make_execution(status=Status.WAITING))
        asked = make_wait(make_execution(status=Status.WAITING), allowed_users=[user.pk])

        assert ids(api.get(APPROVALS)) == [str(asked.pk), str(mine.pk)]

    def test_finds_by_status_kind_and_execution(self, api, execution):
        first = make_wait(execution, status=WaitStatus.ANSWERED, answered_at=now())
        second = make_wait(make_execution(owner_id=execution.owner_id), kind=WaitKind.DECISION)

        assert ids(api.get(APPROVALS, {"status": "ANSWERED"})) == [str(first.pk)]
        assert ids(api.get(APPROVALS, {"status": ["ANSWERED", "OPEN"]})) == [str(second.pk), str(first.pk)]
        assert ids(api.get(APPROVALS, {"kind": "DECISION"})) == [str(second.pk)]
        assert ids(api.get(APPROVALS, {"execution": execution.pk})) == []
        assert api.get(APPROVALS, {"status": "NONE"}).status_code == 400

    def test_says_who_may_answer_since_when_and_until(self, api, user, execution):
        group = Group.objects.create(name="Accounting")
        due_at = now() + timedelta(hours=1)
        wait = make_wait(execution, allowed_users=[user.pk], allowed_groups=[group.pk], due_at=due_at, item_path=[1])

        (row,) = api.get(APPROVALS).data["results"]

        assert {name: row[name] for name in ("owner", "users", "groups", "node", "item", "title", "on_timeout")} == {
            "owner": "ada",
            "users": ["ada"],
            "groups": ["Accounting"],
            "node": "only",
            "item": "#2",
            "title": "Send it?",
            "on_timeout": "fail",
        }
        assert (row["since"] is not None, row["due_at"] is not None) == (True, True)
        assert (row["id"], row["execution"]) == (str(wait.pk), str(execution.pk))
        assert "data" not in row

    def test_asks_as_little_for_many_as_for_one(self, api, execution, django_assert_max_num_queries):
        for number in range(12):
            make_wait(execution, f"node-{number}")

        with django_assert_max_num_queries(4):
            assert len(ids(api.get(APPROVALS))) == 12


class TestAnApproval:
    def test_shows_its_form_and_its_data(self, api, execution):
        wait = make_wait(execution, form=FORM, data={"to": "Ada"}, is_editable=True)

        shown = api.get(at(wait)).data

        assert (shown["form"], shown["data"], shown["editable"]) == (FORM, {"to": "Ada"}, True)

    def test_is_shown_after_its_answer_too(self, api, execution):
        wait = make_wait(execution, status=WaitStatus.ANSWERED, answered_at=now(), answer={"approved": True})

        assert api.get(at(wait)).data["answer"] == {"approved": True}

    @pytest.mark.parametrize("path", ["", "answer/"])
    def test_of_somebody_else_is_answered_as_if_it_did_not_exist(self, path, execution):
        stranger = api_of(make_user())
        wait = make_wait(execution)
        ask = stranger.post if path else stranger.get

        answers = [ask(at(wait, path), {"approved": True} if path else None), ask(f"{APPROVALS}{SOME_ID}/{path}")]

        assert [one.status_code for one in answers] == [404, 404]
        assert answers[0].data == answers[1].data

    def test_of_the_owner_is_not_theirs_where_others_are_named(self, api, execution):
        wait = make_wait(execution, allowed_users=[make_user().pk])

        assert answer(api, wait, approved=True).status_code == 404

    def test_asks_for_a_login(self, execution):
        assert APIClient().get(APPROVALS).status_code == 401


class TestAnAnswer:
    def test_lets_the_firing_go_on(self, api, user, execution, django_capture_on_commit_callbacks):
        wait = make_wait(execution, form=FORM)

        with django_capture_on_commit_callbacks(execute=True):
            answered = answer(api, wait, approved=True, answer={"amount": 12}, comment="Fine.")

        assert answered.status_code == 200
        shown = {name: answered.data[name] for name in ("status", "answered_by", "comment", "answer")}
        assert shown == {
            "status": "ANSWERED",
            "answered_by": "ada",
            "comment": "Fine.",
            "answer": {"approved": True, "answer": {"amount": 12}},
        }
        assert NodeExecution.objects.get(execution=execution).status == NodeStatus.PENDING

    @pytest.mark.parametrize(
        ("reply", "code", "path"),
        [
            ({}, "ANSWER_INVALID", "approved"),
            ({"approved": True}, "ANSWER_INVALID", "answer"),
            ({"approved": True, "answer": {"amount": "x"}}, "ANSWER_INVALID", "answer.amount"),
            ({"approved": False, "data": 1}, "ANSWER_INVALID", "data"),
        ],
    )
    def test_is_refused_where_it_is_not_what_was_asked(self, api, execution, reply, code, path):
        refused = answer(api, make_wait(execution, form=FORM), **reply)

        assert (refused.status_code, refused.data["code"], refused.data["path"]) == (422, code, path)

    @pytest.mark.parametrize("approved", ["yes", 1, "true", None])
    def test_says_yes_or_no_in_so_many_words(self, api, execution, approved):
        refused = answer(api, make_wait(execution), approved=approved)

        assert (refused.status_code, refused.data["code"]) == (400, "INVALID_REQUEST")

    def test_of_another_after_it_is_refused(self, api, execution):
        other = make_user("ben")
        wait = make_wait(execution, allowed_users=[execution.owner_id, other.pk])
        answer(api_of(other), wait, approved=True)

        refused, again = answer(api, wait, approved=True), answer(api_of(other), wait, approved=True)

        assert (refused.status_code, refused.data["code"]) == (409, "WAIT_ALREADY_ANSWERED")
        assert "ben" in refused.data["message"]
        assert again.status_code == 200

    def test_comes_too_late(self, api, execution):
        late = make_wait(execution, due_at=now() - timedelta(minutes=1))
        ended = make_wait(make_execution(owner_id=execution.owner_id, status=Status.CANCELLED))

        refused = [answer(api, wait, approved=True) for wait in (late, ended)]

        assert [(one.status_code, one.data["code"]) for one in refused] == [
            (409, "WAIT_TIMED_OUT"),
            (409, "WAIT_CLOSED"),
        ]

    def test_of_a_decision_says_what_becomes_of_the_firing(self, api, execution):
        wait = make_wait(execution, kind=WaitKind.DECISION, call_key="decision-1", form=DECISION_FORM)

        wrong = [
            answer(api, wait, approved=True),
            answer(api, wait, answer={"choice": "maybe"}),
            answer(api, wait, answer={"choice": "take_output", "outputs": {"nowhere": [1]}}),
            answer(api, wait, answer={"choice": "fail", "outputs": {"output": [1]}}),
        ]
        right = answer(api, wait, answer={"choice": "take_output", "outputs": {"output": ["sent"]}})

        assert [one.data.get("path", "") for one in wrong] == [
            "",
            "answer.choice",
            "answer.outputs.nowhere",
            "answer.outputs",
        ]
        assert {one.status_code for one in wrong} == {422}
        assert right.data["answer"] == {"choice": "take_output", "outputs": {"output": ["sent"]}}


class TestAnExecution:
    def test_says_what_it_waits_for(self, api, user, execution):
        named = make_user("ben")
        wait = make_wait(execution, allowed_users=[named.pk])
        make_wait(execution, "before", status=WaitStatus.ANSWERED, answered_at=now())

        shown = api.get(f"/api/v1/executions/{execution.pk}/").data

        assert [(one["id"], one["users"]) for one in shown["waits_for"]] == [(str(wait.pk), ["ben"])]

    def test_tells_all_it_has_waited_for_to_its_owner(self, api, execution):
        first = make_wait(execution, status=WaitStatus.ANSWERED, answered_at=now(), answer={"approved": True})
        second = make_wait(execution, "timer", kind=WaitKind.TIMER, due_at=now(), allowed_users=[make_user().pk])
        place = f"/api/v1/executions/{execution.pk}/waits/"

        assert ids(api.get(place)) == [str(first.pk), str(second.pk)]
        assert ids(api.get(place, {"status": "OPEN"})) == [str(second.pk)]
        assert api.get(f"{place}{first.pk}/").data["answer"] == {"approved": True}
        assert api_of(make_user()).get(place).status_code == 404


class TestAnEvent:
    def test_is_given_to_what_waits_for_it(self, api, execution):
        wait = make_wait(execution, kind=WaitKind.EVENT, event="paid")

        sent = api.post(EVENTS, {"name": "paid", "payload": {"amount": 80}})

        wait.refresh_from_db()
        assert (sent.status_code, sent.data) == (202, {"firings": 1})
        assert (wait.status, wait.answer) == (WaitStatus.ANSWERED, {"amount": 80})

    def test_needs_a_name(self, api):
        assert api.post(EVENTS, {"payload": 1}).status_code == 400

    def test_reaches_nobody_else(self, execution):
        make_wait(execution, kind=WaitKind.EVENT, event="paid")

        assert api_of(make_user()).post(EVENTS, {"name": "paid"}).data == {"firings": 0}
