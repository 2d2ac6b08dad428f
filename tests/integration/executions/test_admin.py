"""The console's pages of executions: everything can be looked at, nothing changed, and nothing that users wrote is code."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from access import keyring
from access.models import ApiKey
from agentplatform.lib.clock import now
from agentplatform.lib.ids import first_id_at, uuid7
from executions.engine.status import NodeStatus, Status
from executions.models import Execution
from tests.blocks import node
from tests.factories import make_execution, make_key, make_node_execution, make_published, make_user

pytestmark = pytest.mark.django_db

HOSTILE = "</script><img src=x onerror=alert(1)>"
MODELS = ["execution", "nodeexecution"]


@pytest.fixture
def console():
    return console_of(get_user_model().objects.create_superuser("root"))


def console_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def make_hostile():
    """Return an execution and a node execution, with markup wherever users can write."""
    version = make_published([node("only", "test.source")])
    version.graph.name = HOSTILE
    version.graph.save()
    version.graph.owner.username = HOSTILE
    version.graph.owner.save()
    error = {"error_code": "BOOM", "error_message": HOSTILE, "error_hint": HOSTILE}
    values = {"inputs": {HOSTILE: HOSTILE}, "outputs": {HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]}}
    execution = make_execution(version, status=Status.FAILED, error_node=HOSTILE, **error, **values)
    make_node_execution(execution, HOSTILE, outputs={HOSTILE: [HOSTILE]}, item_path=[0])
    firing = make_node_execution(
        execution,
        status=NodeStatus.FAILED,
        worker=HOSTILE,
        usage={"model": HOSTILE},
        missing_pins=[HOSTILE],
        **error,
        **values,
    )
    return execution, firing


def page(console: Client, row) -> str:
    response = console.get(reverse(f"admin:executions_{row._meta.model_name}_change", args=[row.pk]))
    assert response.status_code == 200
    return response.content.decode()


def listed(console: Client, model: str = "execution", **query: str) -> str:
    response = console.get(reverse(f"admin:executions_{model}_changelist"), query)
    assert response.status_code == 200
    return response.content.decode()


def test_nothing_that_users_wrote_is_markup(console):
    execution, firing = make_hostile()

    shown = [
        page(console, execution),
        page(console, firing),
        *(listed(console, model) for model in MODELS),
        console.get(reverse("admin:index")).content.decode(),
    ]

    assert all("&lt;img src=x" in text and "<img src=x" not in text for text in shown)


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_added_changed_or_deleted(console, model):
    row = dict(zip(MODELS, make_hostile(), strict=True))[model]
    before = list(type(row).objects.values())

    answers = [
        console.get(reverse(f"admin:executions_{model}_add")),
        console.post(reverse(f"admin:executions_{model}_change", args=[row.pk]), {"status": "SUCCEEDED"}),
        console.post(reverse(f"admin:executions_{model}_delete", args=[row.pk]), {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert list(type(row).objects.values()) == before


@pytest.mark.parametrize("model", MODELS)
def test_staff_without_the_permission_sees_nothing(model):
    row = dict(zip(MODELS, make_hostile(), strict=True))[model]
    staff = get_user_model().objects.create_user("staff", is_staff=True)

    answers = [
        console_of(staff).get(reverse(f"admin:executions_{model}_changelist")),
        console_of(staff).get(reverse(f"admin:executions_{model}_change", args=[row.pk])),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]


@pytest.mark.parametrize("model", MODELS)
def test_a_list_asks_as_little_for_many_as_for_one(console, model, django_assert_max_num_queries):
    version = make_published([node("only", "test.source")])
    for _ in range(15):
        make_node_execution(make_execution(version))
    listed(console, model)

    with django_assert_max_num_queries(7) as captured:
        listed(console, model)

    assert not [query for query in captured if "COUNT(*)" in query["sql"] and "nodeexecution" in query["sql"]]


def test_the_page_of_an_execution_shows_its_nodes(console):
    execution = make_execution(status=Status.SUCCEEDED, outputs={"answer": "forty-two"})
    make_node_execution(
        execution,
        item_path=[0, 1],
        outputs={"count": [3], "output": ["the beginning\nand the end"]},
        usage={"input_tokens": 1200, "output_tokens": 34},
        cost_microcredits=1500,
    )

    text = page(console, execution)

    for told in ("forty-two", "#1.2", "1,200 + 34", "$0.0015", "the beginning and the end"):
        assert told in text


def test_the_page_of_a_failed_execution_says_why_and_what_to_do(console):
    execution = make_execution(
        status=Status.FAILED, error_code="BOOM", error_message="It broke.", error_hint="Mend it.", error_node="only"
    )

    text = page(console, execution)

    assert all(told in text for told in ("BOOM", "It broke.", "Mend it."))


def test_the_page_of_many_nodes_asks_as_little_as_of_one(console, django_assert_max_num_queries):
    execution = make_execution()
    for number in range(210):
        make_node_execution(execution, item_path=[number])

    with django_assert_max_num_queries(16):
        text = page(console, execution)

    assert "#200" in text
    assert "#201" not in text
    assert f"execution__id__exact={execution.pk}" in text


def test_a_page_renews_itself_until_the_end(console):
    assert 'http-equiv="refresh"' in page(console, make_execution())
    assert 'http-equiv="refresh"' not in page(console, make_execution(status=Status.SUCCEEDED))


def test_a_long_value_is_cut(console):
    execution = make_execution(status=Status.SUCCEEDED, outputs={"text": "x" * 100_000})

    text = page(console, execution)

    assert "80000 more characters" in text
    assert len(text) < 80_000


class TestFinding:
    def test_an_execution_by_its_id_its_graph_and_its_owner(self, console):
        wanted, other = make_execution(), make_execution()

        found = [listed(console, q=str(term)) for term in (wanted.pk, wanted.graph_id, wanted.graph.name, wanted.owner)]

        assert all(str(wanted.pk) in text and str(other.pk) not in text for text in found)

    def test_nodes_by_execution_and_key(self, console):
        wanted = make_node_execution(make_execution(), "wanted")
        other = make_node_execution(make_execution(), "other")

        found = [
            listed(console, "nodeexecution", q="wanted"),
            listed(console, "nodeexecution", q=str(wanted.execution_id)),
            listed(console, "nodeexecution", execution__id__exact=str(wanted.execution_id)),
        ]

        assert all(str(wanted.pk) in text and str(other.pk) not in text for text in found)

    def test_executions_by_status_and_age(self, console):
        old = make_execution(id=first_id_at(now() - timedelta(days=2)))
        failed = make_execution(status=Status.FAILED)

        assert str(old.pk) not in listed(console, created="24h")
        assert str(old.pk) in listed(console, created="7d")
        assert str(old.pk) not in listed(console, status__exact="FAILED")
        assert str(failed.pk) in listed(console, status__exact="FAILED")

    def test_nothing_under_an_unknown_id(self, console):
        response = console.get(reverse("admin:executions_execution_change", args=[uuid7()]), follow=True)

        assert "doesn’t exist" in response.content.decode()


class TestLine:
    def test_shows_the_place_of_each_that_stands_in_it(self, console):
        version = make_published([node("only", "test.source")])
        make_execution(version, launched_at=now())
        second = [make_execution(version), make_execution(version)][1]

        assert "number 1 in line" in listed(console)
        assert "number 2 in line" in listed(console)
        assert "number 2 in line" in page(console, second)


class TestOverview:
    def test_counts_what_happened_and_what_runs(self, console):
        make_execution(status=Status.SUCCEEDED, cost_microcredits=2_500_000)
        make_execution(status=Status.FAILED)
        make_execution(status=Status.RUNNING, launched_at=now())
        make_execution(launched_at=now(), id=first_id_at(now() - timedelta(days=3)))
        make_execution(id=first_id_at(now() - timedelta(days=2)), cost_microcredits=1)

        summary = console.get(reverse("admin:index")).context["summary"]

        assert {status: count for status, count, _ in summary["by_status"]} == {
            "RUNNING": 1,
            "SUCCEEDED": 1,
            "FAILED": 1,
        }
        assert (summary["running"], summary["queued"], summary["in_line"]) == (1, 1, 1)
        assert (summary["total"], summary["cost"]) == (3, "$2.50")
        assert len(summary["latest"]) == 5

    def test_says_what_to_do_first(self, console):
        assert "Nothing has been executed yet" in console.get(reverse("admin:index")).content.decode()

    def test_shows_numbers_and_links_only_to_those_who_may_follow_them(self):
        staff = get_user_model().objects.create_user("staff", is_staff=True)
        staff.user_permissions.add(Permission.objects.get(codename="view_graph"))

        text = console_of(staff).get(reverse("admin:index")).content.decode()

        assert reverse("admin:graphs_graph_changelist") in text
        assert reverse("admin:executions_execution_changelist") not in text


class TestApiKeys:
    ADD = {"name": "Reports", "scopes": ["executions:read"], "networks": "10.0.0.0/8"}

    def made(self, console, **given) -> tuple[HttpResponse, str]:
        answer = console.post(reverse("admin:access_apikey_add"), self.ADD | given)
        (text,) = set(re.findall(r"ap_[\w-]{30,}", answer.content.decode()))
        return answer, text

    def test_are_told_in_the_answer_itself_and_nowhere_else(self, console, caplog):
        caplog.set_level(logging.DEBUG)
        user = make_user()

        answer, text = self.made(console, owner=user.pk)

        key = ApiKey.objects.get(owner=user)
        assert keyring.find(text, address="10.1.2.3") == key
        assert keyring.find(text, address="11.1.2.3") is None
        assert "no-store" in answer["Cache-Control"]
        assert text not in f"{answer.headers} {console.cookies} {dict(console.session)} {caplog.text}"
        with connection.cursor() as cursor:
            for table in connection.introspection.table_names():
                cursor.execute(f'SELECT 1 FROM "{table}" t WHERE strpos(t::text, %s) > 0', [text])
                assert cursor.fetchone() is None, table

    @pytest.mark.parametrize("name", ["changelist", "add"])
    def test_are_not_told_again(self, console, name):
        _, text = self.made(console, owner=make_user().pk)

        assert text not in console.get(reverse(f"admin:access_apikey_{name}")).content.decode()

    def test_that_can_not_be_are_told_at_the_field_and_not_made(self, console):
        answer = console.post(
            reverse("admin:access_apikey_add"), self.ADD | {"owner": make_user().pk, "networks": "nowhere"}
        )

        assert answer.context["errors"]
        assert not ApiKey.objects.exists()

    def test_that_are_replaced_are_told_in_the_answer_itself_too(self, console):
        make_key(make_user()), make_key(make_user())
        keys = [key.pk for key in ApiKey.objects.all()]
        asked = {"action": "rotate", "_selected_action": keys}

        answer = console.post(reverse("admin:access_apikey_changelist"), asked)

        texts = set(re.findall(r"ap_[\w-]{30,}", answer.content.decode()))
        assert {keyring.find(text, address="").pk for text in texts} == set(keys)
        assert not any(text in f"{console.cookies} {dict(console.session)}" for text in texts)

    def test_are_replaced_and_revoked(self, console):
        text = make_key(make_user())
        key = ApiKey.objects.get()

        pull(console, "rotate", key, page="access_apikey")
        is_good_for_a_while = keyring.find(text, address="") is not None
        pull(console, "revoke", key, page="access_apikey")

        assert is_good_for_a_while
        assert keyring.find(text, address="") is None


@pytest.mark.parametrize("name", ["auth_user", "auth_group", "access_apikey"])
def test_the_pages_of_access_open(console, name):
    assert console.get(reverse(f"admin:{name}_changelist")).status_code == 200
    assert console.get(reverse(f"admin:{name}_add")).status_code == 200


class TestLevers:
    @pytest.mark.parametrize(
        ("lever", "before", "after"),
        [("cancel", {"status": Status.QUEUED}, {"status": Status.CANCELLED}), ("pause", {}, {"is_paused": True})],
    )
    def test_act_on_what_is_chosen(self, console, lever, before, after):
        chosen, other = make_execution(**before), make_execution(**before)

        pull(console, lever, chosen)

        assert Execution.objects.filter(pk=chosen.pk, **after).exists()
        assert not Execution.objects.filter(pk=other.pk, **after).exists()

    def test_say_why_something_can_not_be_done(self, console):
        response = pull(console, "retry_failed", make_execution())

        assert "is QUEUED" in response.content.decode()

    def test_are_not_offered_to_those_who_may_only_look(self):
        user = make_user()
        user.is_staff = True
        user.save()
        user.user_permissions.add(Permission.objects.get(codename="view_execution"))
        execution = make_execution(status=Status.QUEUED)

        pull(console_of(user), "cancel", execution)

        assert Execution.objects.get(pk=execution.pk).status == Status.QUEUED


def pull(console: Client, lever: str, *chosen: Any, page: str = "executions_execution"):
    return console.post(
        reverse(f"admin:{page}_changelist"),
        {"action": lever, "_selected_action": [str(one.pk) for one in chosen]},
        follow=True,
    )
