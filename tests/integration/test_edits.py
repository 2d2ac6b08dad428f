"""What several people edit: an edit that names the state it was made in is carried out in that state, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from access.models import ApiKey
from executions import own_budgets, own_schedules, own_subscriptions, own_webhooks
from executions.engine.money import BudgetScope
from executions.models import Schedule
from graphs.documents import GraphModel
from graphs.models import Graph
from integrations import services as credentials
from tests.blocks import node
from tests.factories import make_key, make_published, make_user
from tests.integration.executions.paying import nobody_connected
from tests.integration.executions.races import at_once

API = "/api/v1/"
EXAMPLE = "https://example.com/hook"


def graph(owner: Any) -> str:
    return f"graphs/{make_published([node('only', 'test.source')], owner=owner).graph_id}/"


def schedule(owner: Any) -> str:
    of = make_published([node("only", "test.source")], owner=owner).graph
    return f"schedules/{own_schedules.create(graph=of, name='first', kind='cron', cron='@daily').pk}/"


def webhook(owner: Any) -> str:
    of = make_published([node("only", "test.source")], owner=owner).graph
    return f"webhooks/{own_webhooks.create(graph=of, name='first')[0].pk}/"


def subscription(owner: Any) -> str:
    return f"subscriptions/{own_subscriptions.create(owner_id=owner.pk, name='first', url=EXAMPLE)[0].pk}/"


def credential(owner: Any) -> str:
    secret = {"api_key": "sk-first-0123456789"}
    made = credentials.add(owner_id=owner.pk, provider="openai", kind="api_key", secret=secret, name="first")
    return f"credentials/{made.pk}/"


def budget(owner: Any) -> str:
    limit = own_budgets.limit_own(owner_id=owner.pk, scope=BudgetScope.OWNER, scope_id="", limit_microcredits=5)
    return f"budgets/{limit.pk}/"


def api_key(owner: Any) -> str:
    make_key(owner)
    return f"api-keys/{ApiKey.objects.latest('id').pk}/"


def document(name: str) -> dict[str, Any]:
    return {**GraphModel(name=name).as_data(), "name": name}


Make = Callable[[Any], str]
#: How each is made, and how it is changed.
THINGS: dict[str, tuple[Make, str, Callable[[str], dict[str, Any]]]] = {
    "graph": (graph, "put", document),
    "schedule": (schedule, "patch", lambda name: {"name": name}),
    "webhook": (webhook, "patch", lambda name: {"name": name}),
    "subscription": (subscription, "patch", lambda name: {"name": name}),
    "credential": (credential, "patch", lambda name: {"name": name}),
    "budget": (budget, "patch", lambda name: {"limit_microcredits": len(name) * 10}),
    "api_key": (api_key, "put", lambda name: {"name": name, "scopes": ["graphs:read"]}),
}
EACH = pytest.mark.parametrize("what", list(THINGS))


def client_of(user: Any) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {make_key(user)}"})


def change(client: APIClient, what: str, path: str, name: str, etag: str | None = None) -> Any:
    _, method, body = THINGS[what]
    headers = {} if etag is None else {"If-Match": etag}
    return getattr(client, method)(API + path, body(name), format="json", headers=headers)


@pytest.mark.django_db
class TestAnEdit:
    @EACH
    def test_of_the_state_that_was_read_is_carried_out(self, what):
        user = make_user()
        client, path = client_of(user), THINGS[what][0](user)
        read = client.get(API + path)

        answer = change(client, what, path, "second", read["ETag"])

        assert answer.status_code == 200
        assert answer["ETag"] == client.get(API + path)["ETag"] != read["ETag"]

    @EACH
    def test_of_another_state_changes_nothing(self, what):
        user = make_user()
        client, path = client_of(user), THINGS[what][0](user)
        before = client.get(API + path)["ETag"]
        now = change(client, what, path, "second")["ETag"]

        answer = change(client, what, path, "third one", before)

        assert (answer.status_code, answer.data["code"]) == (412, "EDITED_MEANWHILE")
        assert answer.data["hint"]
        assert client.get(API + path)["ETag"] == now

    @EACH
    def test_that_names_no_state_is_carried_out_in_any(self, what):
        user = make_user()
        client, path = client_of(user), THINGS[what][0](user)

        assert change(client, what, path, "second").status_code == 200
        assert change(client, what, path, "third one", "*").status_code == 200

    @pytest.mark.parametrize("what", sorted(THINGS.keys() - {"api_key"}))
    def test_that_removes_it_is_compared_too(self, what):
        user = make_user()
        client, path = client_of(user), THINGS[what][0](user)
        before = client.get(API + path)["ETag"]
        now = change(client, what, path, "second")["ETag"]

        refused = client.delete(API + path, headers={"If-Match": before})
        removed = client.delete(API + path, headers={"If-Match": f'"another", {now}'})

        assert (refused.status_code, removed.status_code) == (412, 204)

    def test_does_not_mind_what_changes_by_itself(self):
        user = make_user()
        client, path = client_of(user), schedule(user)
        read = client.get(API + path)
        Schedule.objects.update(next_fire_at=None, due_at=None)

        again = client.get(API + path, headers={"If-None-Match": read["ETag"]})
        answer = change(client, "schedule", path, "second", read["ETag"])

        assert (again.status_code, answer.status_code) == (200, 200)

    def test_may_name_the_weak_tag_of_a_compressed_answer(self):
        user = make_user()
        client, path = client_of(user), graph(user)
        read = client.get(API + path, headers={"Accept-Encoding": "gzip"})

        answer = change(client, "graph", path, "second", read["ETag"])

        assert read["Content-Encoding"] == "gzip"
        assert answer.status_code == 200

    @pytest.mark.parametrize("named", ["", "nonsense", '"', "W/", '"a" "b"'])
    def test_of_a_state_that_never_was_changes_nothing(self, named):
        user = make_user()

        answer = change(client_of(user), "webhook", webhook(user), "second", named)

        assert answer.status_code == 412

    def test_of_anothers_is_not_found(self):
        path = graph(make_user())

        assert change(client_of(make_user()), "graph", path, "second", "*").status_code == 404


@pytest.mark.django_db
@EACH
def test_who_has_it_already_is_shown_nothing(what):
    user = make_user()
    client, path = client_of(user), THINGS[what][0](user)
    tag = client.get(API + path)["ETag"]

    same = client.get(API + path, headers={"If-None-Match": tag})
    change(client, what, path, "second")
    other = client.get(API + path, headers={"If-None-Match": tag})

    assert (same.status_code, same.content, same["ETag"]) == (304, b"", tag)
    assert (other.status_code, other["ETag"] == tag) == (200, False)


@pytest.mark.django_db(transaction=True)
@EACH
def test_of_two_who_edit_at_once_one_does(what):
    user = make_user()
    path = THINGS[what][0](user)
    clients = [client_of(user) for _ in range(8)]
    tag = clients[0].get(API + path)["ETag"]

    with nobody_connected():
        answers = at_once(8, lambda number: change(clients[number], what, path, "x" * (number + 2), tag))

    assert sorted(answer.status_code for answer in answers) == [200] + 7 * [412]
    (done,) = (answer for answer in answers if answer.status_code == 200)
    assert clients[0].get(API + path)["ETag"] == done["ETag"]


@pytest.mark.django_db(transaction=True)
def test_nobody_edits_what_is_just_put_away():
    user = make_user()
    path = graph(user)
    clients = [client_of(user) for _ in range(2)]
    tag = clients[0].get(API + path)["ETag"]

    def act(number: int) -> Any:
        if number:
            return change(clients[1], "graph", path, "second", tag)
        return clients[0].delete(API + path, headers={"If-Match": tag})

    with nobody_connected():
        removed, changed = at_once(2, act)

    assert {removed.status_code, changed.status_code} in ({204, 412}, {200, 412})
    assert Graph.objects.get().is_archived == (removed.status_code == 204)
