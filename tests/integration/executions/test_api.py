"""The API of executions: who may start and see what, and how it looks."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from io import StringIO
from secrets import token_urlsafe

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from agentplatform.lib.clock import now
from agentplatform.lib.ids import first_id_at, uuid7
from executions.admin.standing import found
from executions.api import pages
from executions.engine.spec import LinkSpec
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind
from executions.models import Execution, Wait
from graphs import services as graph_services
from tests.blocks import node
from tests.factories import document_of, make_execution, make_node_execution, make_published, make_user

pytestmark = pytest.mark.django_db

EXECUTIONS = "/api/v1/executions/"
SOME_ID = "01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9"


@pytest.fixture
def user():
    return make_user()


@pytest.fixture
def api(user):
    return api_of(user)


@pytest.fixture
def version(user):
    nodes = [node("name", "test.input", name="name"), node("out", "test.output", name="greeting")]
    return make_published(nodes, [LinkSpec("name", "output", "out", "input")], owner=user)


def api_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def at(execution: Execution, path: str = "") -> str:
    return f"{EXECUTIONS}{execution.pk}/{path}"


def ids(response) -> list[str]:
    return [row["id"] for row in response.data["results"]]


class TestStart:
    def test_takes_the_latest_version_of_a_graph(self, api, version, django_capture_on_commit_callbacks):
        response = api.post(EXECUTIONS, {"graph": version.graph_id, "inputs": {"name": "Ada"}})

        execution = Execution.objects.get()
        assert response.status_code == 202
        assert response.data["id"] == str(execution.pk)
        assert response["Location"].endswith(at(execution))
        assert (execution.version_id, execution.inputs, execution.owner_id) == (
            version.pk,
            {"name": "Ada"},
            version.graph.owner_id,
        )

    @pytest.mark.parametrize("by", ["graph", "version"])
    def test_is_answered_as_it_is_shown_later(self, api, version, by):
        which = {"graph": version.graph_id, "version": version.pk}[by]

        response = api.post(EXECUTIONS, {by: which, "inputs": {"name": "Ada"}})

        shown = api.get(response["Location"])
        names = ("graph", "graph_name", "version", "version_number")
        assert [response.json()[name] for name in names] == [shown.json()[name] for name in names]
        assert shown.json()["version_number"] == version.number == 1

    def test_of_a_graph_that_was_put_away_is_refused(self, api, version):
        api.delete(f"/api/v1/graphs/{version.graph_id}/")

        response = api.post(EXECUTIONS, {"graph": version.graph_id, "inputs": {"name": "Ada"}})

        assert (response.status_code, response.data["code"]) == (409, "GRAPH_ARCHIVED")
        assert not Execution.objects.exists()

    def test_takes_one_version(self, api, version):
        response = api.post(EXECUTIONS, {"version": version.pk, "inputs": {"name": None}})

        assert response.status_code == 202
        assert (response.data["version"], response.data["status"]) == (version.pk, "QUEUED")
        assert response.data["inputs"] == {"name": None}

    @pytest.mark.parametrize(
        ("priority", "status"), [(None, 202), (-100, 202), (100, 202), (-101, 400), (101, 400), ("high", 400)]
    )
    def test_takes_a_priority_within_bounds(self, api, version, priority, status):
        ask = {"version": version.pk, "inputs": {"name": ""}}

        response = api.post(EXECUTIONS, ask if priority is None else {**ask, "priority": priority})

        assert response.status_code == status
        assert list(Execution.objects.values_list("priority", flat=True)) == ([priority or 0] if status == 202 else [])

    @pytest.mark.parametrize("ask", [{}, {"graph": SOME_ID, "version": SOME_ID}])
    def test_wants_either_a_graph_or_a_version(self, api, ask):
        response = api.post(EXECUTIONS, ask)

        assert response.status_code == 400
        assert response.data["errors"][0]["code"] == "GRAPH_OR_VERSION"

    @pytest.mark.parametrize("inputs", [[], "text", 1])
    def test_wants_inputs_by_name(self, api, version, inputs):
        response = api.post(EXECUTIONS, {"version": version.pk, "inputs": inputs})

        assert response.status_code == 400
        assert response.data["errors"][0]["path"] == "inputs"

    def test_tells_which_input_is_missing(self, api, version):
        response = api.post(EXECUTIONS, {"version": version.pk})

        assert response.status_code == 422
        assert response["Content-Type"] == "application/problem+json"
        assert (response.data["code"], response.data["path"]) == ("EXECUTION_INPUTS_INVALID", "inputs.name")
        assert response.data["message"]
        assert response.data["hint"]

    @pytest.mark.parametrize("kind", ["graph", "version"])
    def test_does_not_tell_whether_another_owner_has_it(self, version, kind):
        theirs, unknown = version.graph_id if kind == "graph" else version.pk, uuid7()
        stranger = api_of(make_user())

        answers = [stranger.post(EXECUTIONS, {kind: id_, "inputs": {"name": ""}}) for id_ in (theirs, unknown)]

        assert [answer.status_code for answer in answers] == [404, 404]
        bodies = [
            answer.content.decode().replace(str(id_), "X")
            for answer, id_ in zip(answers, (theirs, unknown), strict=True)
        ]
        assert bodies[0] == bodies[1]

    def test_refuses_a_draft(self, api, user):
        graph = graph_services.create(owner_id=user.pk, document=document_of([node("only", "test.source")]))

        by_graph = api.post(EXECUTIONS, {"graph": graph.pk})
        by_version = api.post(EXECUTIONS, {"version": graph.versions.get().pk})

        assert (by_graph.status_code, by_graph.data["code"]) == (409, "GRAPH_NOT_PUBLISHED")
        assert (by_version.status_code, by_version.data["code"]) == (409, "VERSION_NOT_PUBLISHED")

    def test_refuses_what_is_nested_too_deep(self, api):
        body = '{"inputs": {"a": ' + "[" * 200_000 + "]" * 200_000 + "}}"

        response = api.post(EXECUTIONS, body, content_type="application/json")

        assert (response.status_code, response.data["code"]) == (400, "REQUEST_JSON_INVALID")

    def test_reads_no_more_than_the_limit(self, api, settings):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000

        response = api.post(EXECUTIONS, {"inputs": {"a": "x" * 1000}})

        assert (response.status_code, response.data["code"]) == (413, "REQUEST_TOO_LARGE")


class TestOwners:
    @pytest.mark.parametrize("path", ["", "nodes/"])
    def test_see_another_execution_as_one_that_does_not_exist(self, version, path):
        execution = make_execution(version)
        stranger = api_of(make_user())

        theirs = stranger.get(at(execution, path))
        unknown = stranger.get(f"{EXECUTIONS}{uuid7()}/{path}")
        nonsense = stranger.get(f"{EXECUTIONS}nonsense/{path}")

        assert theirs.status_code == unknown.status_code == nonsense.status_code == 404
        assert theirs.content == unknown.content == nonsense.content

    def test_list_only_their_own(self, api, version):
        mine = make_execution(version)
        make_execution()

        assert ids(api.get(EXECUTIONS)) == [str(mine.pk)]

    @pytest.mark.parametrize("path", ["", f"{SOME_ID}/", f"{SOME_ID}/nodes/"])
    def test_must_be_known(self, path):
        response = APIClient().get(EXECUTIONS + path)

        assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="api"')


class TestList:
    def test_pages_newest_first(self, api, version):
        made = [make_execution(version) for _ in range(5)]

        first = api.get(EXECUTIONS, {"page_size": 3})
        second = api.get(first.data["next"])

        assert ids(first) + ids(second) == [str(execution.pk) for execution in reversed(made)]
        assert second.data["next"] is None

    def test_asks_as_little_for_many_as_for_one(self, api, version, django_assert_num_queries):
        for _ in range(20):
            make_execution(version)

        with django_assert_num_queries(3):
            api.get(EXECUTIONS)

    def test_leaves_values_out(self, api, version):
        make_execution(version, inputs={"name": "Ada"})

        (row,) = api.get(EXECUTIONS).data["results"]

        assert {"inputs", "outputs"}.isdisjoint(row)

    def test_finds_by_status(self, api, version):
        failed = make_execution(version, status=Status.FAILED)
        queued = make_execution(version)
        make_execution(version, status=Status.SUCCEEDED)

        assert ids(api.get(EXECUTIONS, {"status": "FAILED"})) == [str(failed.pk)]
        assert ids(api.get(EXECUTIONS, {"status": ["FAILED", "QUEUED"]})) == [str(queued.pk), str(failed.pk)]

    def test_finds_by_graph_and_version(self, api, user, version):
        mine = make_execution(version)
        make_execution(make_published([node("only", "test.source")], owner=user))

        assert ids(api.get(EXECUTIONS, {"graph": version.graph_id})) == [str(mine.pk)]
        assert ids(api.get(EXECUTIONS, {"version": version.pk})) == [str(mine.pk)]

    def test_finds_by_time(self, api, version):
        noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
        before = make_execution(version, id=first_id_at(noon - timedelta(seconds=1)))
        after = make_execution(version, id=first_id_at(noon))

        assert ids(api.get(EXECUTIONS, {"created_after": "2026-06-01T12:00:00Z"})) == [str(after.pk)]
        assert ids(api.get(EXECUTIONS, {"created_before": "2026-06-01T12:00:00Z"})) == [str(before.pk)]
        assert ids(api.get(EXECUTIONS, {"created_before": "1066-10-14T00:00:00Z"})) == []

    @pytest.mark.parametrize("need", ["decision", "approval", "event", "timer", "resume"])
    def test_finds_by_what_is_needed_as_the_console_does(self, api, user, version, need):
        waiting = {
            kind: make_execution(version, status=Status.WAITING)
            for kind in (WaitKind.DECISION, WaitKind.APPROVAL, WaitKind.EVENT, WaitKind.TIMER)
        }
        for kind, execution in waiting.items():
            Wait.objects.create(execution_id=execution.pk, node_key="only", call_key="0", kind=kind, owner_id=user.pk)
        paused = make_execution(version, is_paused=True)
        make_execution(version, is_paused=True, status=Status.CANCELLED)
        wanted = paused if need == "resume" else waiting[WaitKind(need.upper())]

        in_console = set(found(Execution.objects.all(), needs=need).values_list("pk", flat=True))

        assert ids(api.get(EXECUTIONS, {"needs": need})) == [str(wanted.pk)]
        assert in_console == {wanted.pk}

    def test_finds_by_where_it_comes_from(self, api, version):
        first = make_execution(version, status=Status.FAILED)
        later = make_execution(version, retried_from_id=first.pk)
        child = make_execution(version, parent_id=later.pk, root_id=later.pk, depth=1)

        assert ids(api.get(EXECUTIONS, {"retried_from": first.pk})) == [str(later.pk)]
        assert ids(api.get(EXECUTIONS, {"parent_execution": later.pk})) == [str(child.pk)]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("status", "DONE"),
            ("needs", "tea"),
            ("graph", "x"),
            ("version", "1"),
            ("created_after", "tea"),
            ("created_before", "12"),
        ],
    )
    def test_refuses_a_filter_that_means_nothing(self, api, name, value):
        response = api.get(EXECUTIONS, {name: value})

        assert response.status_code == 400
        assert response.data["errors"][0]["path"].startswith(name)

    @pytest.mark.parametrize("address", [EXECUTIONS, "nodes"])
    def test_refuses_a_cursor_that_nobody_gave(self, api, version, address):
        forged = base64.b64encode(b"p=drop+table").decode()
        address = EXECUTIONS if address == EXECUTIONS else at(make_execution(version), "nodes/")

        response = api.get(address, {"cursor": forged})

        assert response.status_code == 404


class TestDetail:
    def test_tells_what_went_in_and_out_and_what_it_cost(self, api, version):
        execution = make_execution(
            version,
            status=Status.SUCCEEDED,
            inputs={"name": "Ada"},
            outputs={"greeting": "Hello"},
            input_tokens=12,
            cost_microcredits=1234,
        )

        shown = api.get(at(execution)).data

        assert (shown["inputs"], shown["outputs"]) == ({"name": "Ada"}, {"greeting": "Hello"})
        assert shown["cost"] == {"microcredits": 1234, "text": "$0.001234"}
        assert (shown["input_tokens"], shown["version_number"], shown["error"]) == (12, 1, None)

    def test_tells_why_it_failed(self, api, version):
        execution = make_execution(
            version,
            status=Status.FAILED,
            error_code="BOOM",
            error_message="It broke.",
            error_hint="Mend it.",
            error_node="out",
        )

        assert api.get(at(execution)).data["error"] == {
            "code": "BOOM",
            "message": "It broke.",
            "hint": "Mend it.",
            "node": "out",
        }

    def test_can_not_be_changed(self, api, version):
        execution = make_execution(version)

        answers = [api.put(at(execution), {}), api.patch(at(execution), {}), api.delete(at(execution))]

        assert [answer.status_code for answer in answers] == [405, 405, 405]


class TestNodes:
    def test_come_in_the_order_in_which_they_began(self, api, version):
        execution = make_execution(version)
        made = [make_node_execution(execution, "name", item_path=[number]) for number in range(5)]

        first = api.get(at(execution, "nodes/"), {"page_size": 2})
        second = api.get(first.data["next"])
        third = api.get(second.data["next"])

        assert ids(first) + ids(second) + ids(third) == [str(firing.pk) for firing in made]
        assert third.data["next"] is None

    def test_tell_what_each_did(self, api, version):
        execution = make_execution(version)
        make_node_execution(
            execution,
            "name",
            item_path=[0, 1],
            outputs={"output": ["x"]},
            usage={"input_tokens": 3},
            cost_microcredits=5,
            started_at=now(),
        )

        (row,) = api.get(at(execution, "nodes/")).data["results"]

        assert (row["node"], row["item"], row["item_path"], row["status"]) == ("name", "#1.2", [0, 1], "SUCCEEDED")
        assert (row["outputs"], row["usage"]) == ({"output": ["x"]}, {"input_tokens": 3})
        assert row["cost"] == {"microcredits": 5, "text": "$0.000005"}

    def test_are_found_by_node_and_status(self, api, version):
        execution = make_execution(version)
        made = make_node_execution(execution, "name")
        failed = make_node_execution(execution, "out", status=NodeStatus.FAILED)

        assert ids(api.get(at(execution, "nodes/"), {"node": "name"})) == [str(made.pk)]
        assert ids(api.get(at(execution, "nodes/"), {"status": "FAILED"})) == [str(failed.pk)]

    def test_leave_out_those_of_other_executions(self, api, version):
        make_node_execution(make_execution(version), "name")

        assert ids(api.get(at(make_execution(version), "nodes/"))) == []

    def test_ask_as_little_for_many_as_for_one(self, api, version, django_assert_num_queries):
        execution = make_execution(version)
        for number in range(20):
            make_node_execution(execution, "name", item_path=[number])

        with django_assert_num_queries(3):
            api.get(at(execution, "nodes/"))

    def test_are_shown_without_values_where_what_they_were_taken_from_is_removed(self, api, version):
        execution, removed = make_execution(version), make_execution(version)
        make_node_execution(execution, "name", origin_id=removed.pk)

        (row,) = api.get(at(execution, "nodes/")).data["results"]

        assert (row["reused_from"], row["outputs"]) == (str(removed.pk), None)

    def test_come_in_smaller_pages_where_they_hold_much(self, api, version, monkeypatch):
        monkeypatch.setattr(pages, "PAGE_BYTES", 50_000)
        execution = make_execution(version)
        made = [
            make_node_execution(execution, "name", item_path=[number], outputs={"output": [token_urlsafe(size)]})
            for number, size in enumerate([20_000, 5_000, 60_000, 10, 20_000])
        ]

        forwards = list(every_page(api, at(execution, "nodes/"), "next"))
        backwards = list(every_page(api, forwards[-1].data["previous"], "previous"))

        sizes = [len(ids(page)) for page in forwards]
        assert sizes == [2, 1, 2]
        assert [one for page in forwards for one in ids(page)] == [str(firing.pk) for firing in made]
        assert [ids(page) for page in backwards] == [ids(page) for page in forwards[1::-1]]
        assert forwards[0].data["results"][1]["outputs"] == made[1].outputs


def every_page(api, address, which):
    """Yield the pages of a list one after the other, from an address on."""
    while address:
        yield (page := api.get(address))
        address = page.data[which]


def test_the_schema_has_no_gaps():
    call_command("spectacular", fail_on_warn=True, validate=True, stdout=(schema := StringIO()))

    assert "/api/v1/executions/{execution_id}/nodes/" in schema.getvalue()


class TestRetry:
    def test_starts_a_new_execution_that_goes_on_from_the_old_one(self, api, version):
        ended = make_execution(version, status=Status.FAILED, inputs={"name": "Ada"})
        make_node_execution(ended, "name", inputs={"name": "name", "value": "Ada"}, outputs={"output": ["Ada"]})

        response = api.post(at(ended, "retry/"))

        new = Execution.objects.get(pk=response.data["id"])
        assert response.status_code == 202
        assert (str(response.data["retried_from"]), new.retried_from_id) == (str(ended.pk), ended.pk)
        assert response["Location"].endswith(f"/executions/{new.pk}/")

    def test_shows_reused_firings_with_what_they_gave(self, api, version):
        ended = make_execution(version, status=Status.FAILED, inputs={"name": "Ada"})
        make_node_execution(ended, "name", inputs={"name": "name", "value": "Ada"}, outputs={"output": ["Ada"]})

        new = api.post(at(ended, "retry/")).data["id"]
        (row,) = api.get(f"{EXECUTIONS}{new}/nodes/").data["results"]

        assert (row["node"], row["outputs"], str(row["reused_from"])) == ("name", {"output": ["Ada"]}, str(ended.pk))

    def test_is_previewed_without_starting_anything(self, api, version):
        ended = make_execution(version, status=Status.FAILED, inputs={"name": "Ada"})
        make_node_execution(ended, "name", inputs={"name": "name", "value": "Ada"}, outputs={"output": ["Ada"]})

        response = api.post(at(ended, "retry/preview/"))

        assert response.status_code == 200
        assert response.data["reused"] == {"name": 1}
        assert [one["node"] for one in response.data["runs"]] == ["out"]
        assert Execution.objects.count() == 1

    def test_says_which_field_is_wrong(self, api, version):
        ended = make_execution(version, status=Status.FAILED, inputs={"name": "Ada"})

        response = api.post(at(ended, "retry/"), {"mode": "from_node", "node": "nobody"})

        assert (response.status_code, response.data["code"]) == (422, "RETRY_INVALID")
        assert response.data["path"] == "node"

    def test_is_refused_while_it_is_under_way(self, api, version):
        response = api.post(at(make_execution(version, inputs={"name": "Ada"}), "retry/"))

        assert (response.status_code, response.data["code"]) == (409, "EXECUTION_NOT_ENDED")

    def test_of_somebody_elses_is_not_found(self, version):
        ended = make_execution(version, status=Status.FAILED, inputs={"name": "Ada"})

        response = api_of(make_user()).post(at(ended, "retry/"))

        assert response.status_code == 404


class TestPosition:
    def test_is_shown_of_what_stands_in_line(self, api, version):
        make_execution(make_published([node("only", "test.source")]))
        first, second = make_execution(version), make_execution(version)
        sent = make_execution(version, launched_at=now())

        listed = {row["id"]: row["position"] for row in api.get(EXECUTIONS).data["results"]}
        looked_at = [api.get(at(execution)).data["position"] for execution in (first, second, sent)]

        assert listed == {str(first.pk): 1, str(second.pk): 2, str(sent.pk): None}
        assert looked_at == [1, 2, None]

    def test_of_a_whole_page_costs_one_query(self, api, version, django_assert_max_num_queries):
        for _ in range(20):
            make_execution(version)

        with django_assert_max_num_queries(4):
            response = api.get(EXECUTIONS)

        assert {row["position"] for row in response.data["results"]} == set(range(1, 21))


class TestStop:
    def test_cancels_what_has_not_begun_at_once(self, api, version):
        execution = make_execution(version, inputs={"name": "Ada"})

        response = api.post(at(execution, "cancel/"))

        assert (response.status_code, response.data["status"]) == (200, Status.CANCELLED)

    def test_of_what_has_ended_changes_nothing(self, api, version):
        execution = make_execution(version, status=Status.SUCCEEDED)

        response = api.post(at(execution, "cancel/"))

        assert (response.status_code, response.data["status"]) == (200, Status.SUCCEEDED)

    def test_holds_an_execution_until_it_is_resumed(self, api, version):
        execution = make_execution(version, status=Status.RUNNING)

        paused = api.post(at(execution, "pause/")).data["is_paused"]
        resumed = api.post(at(execution, "resume/")).data["is_paused"]

        assert (paused, resumed) == (True, False)

    @pytest.mark.parametrize("verb", ["pause", "resume"])
    def test_can_not_hold_what_has_ended(self, api, version, verb):
        response = api.post(at(make_execution(version, status=Status.FAILED), f"{verb}/"))

        assert (response.status_code, response.data["code"]) == (409, "EXECUTION_ALREADY_FINISHED")

    @pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
    def test_of_somebody_elses_is_not_found(self, version, verb):
        execution = make_execution(version, status=Status.RUNNING)

        assert api_of(make_user()).post(at(execution, f"{verb}/")).status_code == 404
        assert Execution.objects.get(pk=execution.pk).status == Status.RUNNING
