"""Many executions at once: those that the list shows with the same filter, each by the same service as one."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from access.scopes import Scope
from executions import bulk
from executions.engine.status import NodeStatus, Status
from executions.models import Execution
from tests.blocks import node
from tests.factories import make_execution, make_key, make_node_execution, make_published, make_user
from tests.integration.executions.paying import nobody_connected
from tests.integration.executions.races import at_once

API = "/api/v1/executions/bulk/"


@pytest.fixture
def user():
    return make_user()


@pytest.fixture
def version(user):
    return make_published([node("only", "test.source")], owner=user)


@pytest.fixture
def client(user):
    return client_of(user)


def client_of(user: Any, *scopes: Scope) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {make_key(user, *scopes)}"})


def ask(client: APIClient, what: str, query: str, **more: Any) -> Any:
    headers = more.pop("headers", {})
    return client.post(f"{API}{what}/?{query}", more, format="json", headers=headers)


def make_failed(version: Any) -> Execution:
    execution = make_execution(version, status=Status.FAILED)
    make_node_execution(execution, status=NodeStatus.FAILED)
    return execution


@pytest.mark.django_db
class TestAll:
    def test_that_match_are_cancelled(self, client, user, version):
        queued = [make_execution(version) for _ in range(3)]
        ended, waiting = (
            make_execution(version, status=Status.SUCCEEDED),
            make_execution(version, status=Status.WAITING),
        )
        other = make_execution(make_published([node("only", "test.source")], owner=user))

        answer = ask(client, "cancel", f"graph={version.graph_id}&status=QUEUED&status=SUCCEEDED")

        assert (answer.status_code, answer.data["matching"], answer.data["done"]) == (200, 3, 3)
        assert [one["execution"] for one in answer.data["results"]] == [str(one.pk) for one in queued]
        assert {one["status"] for one in answer.data["results"]} == {"CANCELLED"}
        statuses = dict(Execution.objects.values_list("pk", "status"))
        assert [statuses[one.pk] for one in (ended, waiting, other)] == ["SUCCEEDED", "WAITING", "QUEUED"]

    def test_that_match_are_paused_and_go_on(self, client, version):
        held = make_execution(version), make_execution(version)

        paused = ask(client, "pause", "status=QUEUED")
        is_paused = list(Execution.objects.values_list("is_paused", flat=True))
        again = ask(client, "pause", "status=QUEUED")
        resumed = ask(client, "resume", f"version={version.pk}")

        assert [answer.data["done"] for answer in (paused, again, resumed)] == [2, 0, 2]
        assert is_paused == [True, True]
        assert not any(one.is_paused for one in Execution.objects.filter(pk__in=[one.pk for one in held]))

    def test_that_failed_are_gone_on_from_once(self, client, version):
        failed = [make_failed(version) for _ in range(2)]
        make_execution(version, status=Status.SUCCEEDED)

        first, second = (ask(client, "retry", f"graph={version.graph_id}") for _ in range(2))

        started = Execution.objects.filter(retried_from_id__in=[one.pk for one in failed])
        assert (first.data["done"], second.data["done"]) == (2, 0)
        assert {one["started"] for one in first.data["results"]} == {str(one.pk) for one in started}

    def test_that_can_not_be_say_why(self, client, version):
        well = make_failed(version)
        broken = make_execution(version, status=Status.FAILED)
        make_node_execution(broken, status=NodeStatus.SUCCEEDED, outputs={"output": [1]})

        answer = ask(client, "retry", "status=FAILED")

        told = {one["execution"]: one["error"] and one["error"]["code"] for one in answer.data["results"]}
        assert told == {str(well.pk): None, str(broken.pk): "NOTHING_TO_RETRY"}
        assert (answer.data["done"], answer.data["failed"]) == (1, 1)

    @pytest.mark.parametrize("preview", ["yes", "false", 1, None])
    def test_are_left_alone_where_it_is_not_clear_whether_they_are_only_counted(self, client, version, preview):
        make_execution(version)

        answer = ask(client, "cancel", "status=QUEUED", preview=preview)

        assert (answer.status_code, answer.data["errors"][0]["path"]) == (400, "preview")
        assert Execution.objects.get().status == "QUEUED"

    def test_are_only_counted_in_a_preview(self, client, version):
        make_execution(version), make_execution(version)

        answer = ask(client, "cancel", "status=QUEUED", preview=True)

        assert (answer.data["matching"], answer.data["is_preview"], answer.data["results"]) == (2, True, [])
        assert set(Execution.objects.values_list("status", flat=True)) == {"QUEUED"}

    def test_are_so_many_at_the_most(self, client, version, monkeypatch):
        monkeypatch.setattr(bulk, "MOST", 3)
        for _ in range(5):
            make_execution(version)

        answer = ask(client, "cancel", "status=QUEUED", limit=2)

        assert (answer.data["matching"], answer.data["done"]) == (4, 2)
        assert ask(client, "cancel", "status=QUEUED", limit=501).status_code == 400

    def test_are_left_for_the_next_time_where_it_takes_too_long(self, client, version, monkeypatch):
        make_execution(version)
        monkeypatch.setattr(bulk, "LONGEST_S", 0.0)

        answer = ask(client, "cancel", "status=QUEUED")

        assert (answer.status_code, answer.data["matching"], answer.data["results"]) == (200, 1, [])

    def test_leaves_sub_graphs_to_what_started_them(self, client, version):
        parent = make_execution(version, status=Status.RUNNING)
        child = make_execution(
            version, parent_id=parent.pk, root_id=parent.pk, parent_node="only", call_key="0", depth=1
        )

        answer = ask(client, "pause", f"graph={version.graph_id}")

        assert [one["execution"] for one in answer.data["results"]] == [str(parent.pk)]
        assert Execution.objects.get(pk=child.pk).is_paused


@pytest.mark.django_db
class TestNobody:
    @pytest.mark.parametrize("query", ["", "status=", "statsu=FAILED", "status=FAILED&page=2", "status=NEVER"])
    def test_means_all_by_a_slip(self, client, version, query):
        make_execution(version)

        answer = ask(client, "cancel", query)

        assert (answer.status_code, answer.data["code"]) == (400, "INVALID_REQUEST")
        assert Execution.objects.get().status == "QUEUED"

    def test_reaches_anothers(self, user, version):
        make_execution(version)

        answers = [
            ask(client_of(make_user()), "cancel", query) for query in ("status=QUEUED", f"graph={version.graph_id}")
        ]

        assert {answer.data.get("matching", 0) for answer in answers} == {0}
        assert Execution.objects.get().status == "QUEUED"

    def test_may_start_who_may_only_stop(self, user, version):
        make_failed(version)
        stopper, starter = client_of(user, Scope.EXECUTIONS_CONTROL), client_of(user, Scope.EXECUTIONS_START)

        refused = [ask(stopper, "retry", "status=FAILED"), ask(starter, "cancel", "status=FAILED")]

        assert {(answer.status_code, answer.data["code"]) for answer in refused} == {(403, "SCOPE_MISSING")}

    def test_reaches_other_graphs_with_a_key_for_one(self, user, version):
        other = make_published([node("only", "test.source")], owner=user)
        make_execution(version), make_execution(other)
        text = make_key(user, Scope.EXECUTIONS_CONTROL, graph_id=version.graph_id)

        answer = ask(APIClient(headers={"Authorization": f"Bearer {text}"}), "cancel", "status=QUEUED")

        assert answer.data["done"] == 1
        assert Execution.objects.get(graph_id=other.graph_id).status == "QUEUED"


@pytest.mark.django_db(transaction=True)
def test_a_key_starts_each_once_also_where_several_ask_at_the_same_moment():
    user = make_user()
    version = make_published([node("only", "test.source")], owner=user)
    failed = [make_failed(version) for _ in range(4)]
    headers = {"Idempotency-Key": "3f1c1d5e"}
    clients = [client_of(user) for _ in range(6)]

    with nobody_connected():
        at_once(6, lambda number: ask(clients[number], "retry", "status=FAILED", headers=headers))

    started = Execution.objects.filter(retried_from_id__in=[one.pk for one in failed])
    assert started.count() == 4


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_key_that_can_be_none_is_refused_before_anything_is_started(client, version, key):
    make_failed(version)

    answer = ask(client, "retry", "status=FAILED", headers={"Idempotency-Key": key})

    assert (answer.status_code, answer.data["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")
    assert Execution.objects.count() == 1
