"""The API of graphs, as its callers see it."""

from __future__ import annotations

import json

import pytest
import yaml
from rest_framework.test import APIClient

from graphs import services
from graphs.documents import GraphModel
from graphs.models import Graph
from tests.factories import remove_block
from tests.integration.graphs.drawings import data, document, make_graph, make_published, make_user

pytestmark = pytest.mark.django_db

GRAPHS = "/api/v1/graphs/"


@pytest.fixture
def owner():
    return make_user()


@pytest.fixture
def api(owner):
    client = APIClient()
    client.force_authenticate(owner)
    return client


def address(graph: Graph, verb: str = "") -> str:
    return f"{GRAPHS}{graph.pk}/" + (f"{verb}/" if verb else "")


class TestCreate:
    def test_makes_a_graph_of_the_caller_with_the_document_as_its_draft(self, api, owner):
        answer = api.post(GRAPHS, data())

        assert answer.status_code == 201
        graph = Graph.objects.get()
        assert graph.owner == owner
        assert answer.data["id"] == str(graph.pk)
        assert (answer.data["has_draft"], answer.data["latest_version"]) == (True, None)
        assert answer.data["document"] == document().as_data()

    def test_takes_and_shows_how_often_and_how_long_a_node_is_tried(self, api):
        nodes = [{"id": "a", "block_id": "x", "retry": {"attempts": 5}, "timeout_s": 30}]

        answer = api.post(GRAPHS, data(nodes=nodes, links=[]))

        (shown,) = answer.data["document"]["nodes"]
        assert (shown["retry"], shown["timeout_s"]) == ({"attempts": 5}, 30)
        assert answer.data["max_concurrent"] is None

    def test_takes_yaml_too(self, api):
        answer = api.post(GRAPHS, yaml.safe_dump(data()), content_type="application/yaml")

        assert answer.status_code == 201
        assert answer.data["document"] == document().as_data()

    def test_lists_everything_that_is_wrong_with_the_form(self, api):
        answer = api.post(GRAPHS, {"name": "", "owner": 1})

        assert answer.status_code == 422
        assert answer.data["code"] == "GRAPH_INVALID"
        assert [(one["code"], one["path"]) for one in answer.data["errors"]] == [
            ("BAD_VALUE", "name"),
            ("UNKNOWN_KEY", "owner"),
        ]

    @pytest.mark.parametrize(
        "body",
        [
            "[" * 100_000,
            '{"name": "a", "name": "b"}',
            '{"name": "\\u0000"}',
            "{",
            "",
            b"\xff",
            '{"x": 1e999}',
            "1" * 5000,
        ],
    )
    def test_refuses_hostile_bodies_without_failing(self, api, body):
        answer = api.post(GRAPHS, body, content_type="application/json")

        assert answer.status_code in (400, 422)
        assert answer.data["code"] in ("BAD_DOCUMENT", "GRAPH_INVALID")

    def test_refuses_what_is_too_large(self, api):
        answer = api.post(GRAPHS, b" " * (5 * 1024 * 1024 + 1), content_type="application/json")

        assert answer.status_code == 400
        assert "bytes" in answer.data["message"]

    def test_refuses_other_kinds_of_content(self, api):
        assert api.post(GRAPHS, "name=x", content_type="application/x-www-form-urlencoded").status_code == 415


class TestUpdate:
    def test_replaces_the_draft(self, api, owner):
        graph = make_published(owner)

        answer = api.put(address(graph), data(name="New", links=[]))

        assert answer.status_code == 200
        assert answer.data["name"] == "New"
        assert (answer.data["has_draft"], answer.data["latest_version"]) == (True, 1)
        assert answer.data["document"]["links"] == []


class TestList:
    def test_shows_the_newest_first_without_their_documents(self, api, owner):
        graphs = [make_published(owner), make_graph(owner, name="Second")]

        answer = api.get(GRAPHS)

        assert [one["id"] for one in answer.data["results"]] == [str(graph.pk) for graph in reversed(graphs)]
        assert [one["latest_version"] for one in answer.data["results"]] == [None, 1]
        assert "document" not in answer.data["results"][0]

    def test_costs_the_same_number_of_queries_however_many_there_are(self, api, owner, django_assert_num_queries):
        for _ in range(5):
            make_published(owner)

        with django_assert_num_queries(1):
            api.get(GRAPHS)

    def test_can_be_filtered(self, api, owner):
        make_graph(owner, name="One")
        make_graph(owner, name="Two")

        assert [one["name"] for one in api.get(GRAPHS, {"name": "Two"}).data["results"]] == ["Two"]
        assert api.get(GRAPHS + "?name=%00").status_code == 400


class TestPublish:
    def test_answers_with_the_version(self, api, owner):
        graph = make_graph(owner)

        answer = api.post(address(graph, "publish"))

        assert answer.status_code == 200
        assert answer.data["number"] == 1
        assert answer.data["checksum"] == services.latest_version(graph).checksum

    def test_lists_all_problems(self, api, owner):
        graph = make_graph(
            owner, nodes=[{"id": "a", "block_id": "gone"}, {"id": "b", "block_id": "template-block"}], links=[]
        )

        answer = api.post(address(graph, "publish"))

        assert answer.status_code == 422
        assert answer["Content-Type"] == "application/problem+json"
        assert [(one["code"], one["path"], one["node"]) for one in answer.data["errors"]] == [
            ("UNKNOWN_BLOCK", "nodes[0].block_id", "a"),
            ("MISSING_INPUT", "nodes[1].inputs.template", "b"),
        ]


def test_versions_are_listed_newest_first(api, owner):
    graph = make_published(owner)
    services.save_draft(graph, document(nodes=document().nodes[1:], links=document().links[1:]))
    services.publish(graph)
    services.save_draft(graph, document())

    answer = api.get(address(graph, "versions"))

    assert [one["number"] for one in answer.data["results"]] == [2, 1]


class TestValidate:
    def test_says_that_a_document_can_be_published_and_stores_nothing(self, api):
        answer = api.post(GRAPHS + "validate/", data())

        assert answer.status_code == 200
        exported = GraphModel.read(data()).as_data()
        assert answer.data == {"is_publishable": True, "problems": [], "document": exported, "credentials": []}
        assert not Graph.objects.exists()

    @pytest.mark.parametrize(
        ("change", "problem"),
        [({"links": []}, ("MISSING_INPUT", "nodes[2].inputs.input")), ({"colour": 1}, ("UNKNOWN_KEY", "colour"))],
    )
    def test_lists_problems_of_meaning_and_of_form_alike(self, api, change, problem):
        answer = api.post(GRAPHS + "validate/", data() | change)

        assert answer.status_code == 200
        assert not answer.data["is_publishable"]
        assert [(one["code"], one["path"]) for one in answer.data["problems"]] == [problem]


class TestExport:
    def test_gives_json_that_can_be_posted_again(self, api, owner):
        graph = make_graph(owner)

        exported = api.get(address(graph, "export"))
        again = api.post(GRAPHS, exported.content, content_type=exported["Content-Type"])

        assert exported["Content-Type"] == "application/json"
        assert json.loads(exported.content) == document().as_data()
        assert again.status_code == 201

    def test_gives_yaml_that_can_be_posted_again(self, api, owner):
        exported = api.get(address(make_graph(owner), "export") + "?format=yaml")
        again = api.post(GRAPHS, exported.content, content_type=exported["Content-Type"])

        assert exported["Content-Type"].startswith("application/yaml")
        assert exported.content.startswith(b"format: 1\n")
        assert again.status_code == 201

    def test_gives_a_version_by_its_number(self, api, owner):
        graph = make_published(owner)
        services.save_draft(graph, document(links=[]))

        assert len(json.loads(api.get(address(graph, "export") + "?version=1").content)["links"]) == 2
        assert json.loads(api.get(address(graph, "export")).content)["links"] == []

    @pytest.mark.parametrize(
        ("query", "status"), [("version=2", 404), ("version=x", 400), ("version=" + "9" * 30, 400), ("format=xml", 404)]
    )
    def test_tells_what_it_can_not_give(self, api, owner, query, status):
        answer = api.get(address(make_published(owner), "export") + "?" + query)

        assert answer.status_code == status
        assert json.loads(answer.content)["code"]


@pytest.mark.parametrize(
    ("method", "verb"),
    [("get", ""), ("put", ""), ("post", "publish"), ("get", "versions"), ("get", "export")],
)
class TestSomebodyElse:
    def test_gets_the_answer_for_a_graph_that_does_not_exist(self, api, method, verb):
        theirs = make_published()
        nowhere = Graph(id="01990000-0000-7000-8000-000000000000")

        answer = getattr(api, method)(address(theirs, verb), data())

        assert answer.status_code == 404
        assert answer.content == getattr(api, method)(address(nowhere, verb), data()).content
        assert theirs.versions.count() == 1

    def test_has_to_log_in(self, method, verb):
        assert getattr(APIClient(), method)(address(make_published(), verb), data()).status_code == 401


def test_an_id_that_is_none_is_not_found(api):
    assert api.get(GRAPHS + "not-an-id/").status_code == 404
    assert api.get(GRAPHS + "%00/").status_code == 404


class TestVersions:
    @pytest.fixture
    def graph(self, owner):
        graph = make_published(owner)
        changed = document()
        changed.nodes[0].position = {"x": 77, "y": 0}
        changed.nodes[0].inputs["name"] = "somebody"
        services.save_draft(graph, changed)
        services.publish(graph)
        return graph

    def test_are_compared(self, api, graph):
        since = api.get(address(graph, "diff"), {"before": 1}).data["diff"]
        same = api.get(address(graph, "diff"), {"before": 2, "after": 2}).data["diff"]

        assert "somebody" in since
        assert same == ""
        assert api.get(address(graph, "diff"), {"before": 7}).status_code == 404
        assert api.get(address(graph, "diff")).status_code == 400

    def test_are_rolled_back_by_a_new_one(self, api, graph):
        answer = api.post(address(graph, "rollback"), {"version": 1}, format="json")

        assert (answer.status_code, answer.data["number"]) == (200, 3)
        assert api.get(address(graph, "diff"), {"before": 1, "after": 3}).data["diff"] == ""
        assert api.post(address(graph, "rollback"), {"version": 9}, format="json").status_code == 404

    def test_keep_the_draft_where_one_can_not_be_rolled_back_to(self, api, graph):
        drawn = document()
        drawn.nodes[0].title = "Still being drawn"
        services.save_draft(graph, drawn)
        remove_block(services.find_version(graph, 1).pk)

        answer = api.post(address(graph, "rollback"), {"version": 1}, format="json")

        assert (answer.status_code, answer.data["code"]) == (422, "GRAPH_INVALID")
        assert services.drawn_version(graph).nodes.get(key=drawn.nodes[0].id).title == "Still being drawn"


def test_a_graph_is_put_away_and_stays(api, owner):
    graph = make_published(owner)

    answer = api.delete(address(graph))

    assert answer.status_code == 204
    assert [one["is_archived"] for one in api.get(GRAPHS).data["results"]] == [True]
    assert api.get(GRAPHS, {"is_archived": False}).data["results"] == []


class TestBlocks:
    def test_are_listed_with_what_they_take_and_give(self, api):
        blocks = {one["id"]: one for one in api.get("/api/v1/blocks/").data}

        one = blocks["llm-chat-block"]
        assert one["credentials_required"] == ["openai"]
        assert "prompt" in one["input_schema"]["properties"]
        assert one["cost"]["type"] == "token"
        assert api.get("/api/v1/blocks/llm-chat-block/").data == one

    def test_that_is_not_there_is_not_found(self, api):
        assert api.get("/api/v1/blocks/nothing/").status_code == 404


@pytest.mark.parametrize("value", ["1", "no", "banana", "true&is_archived=x"])
def test_a_filter_of_yes_or_no_takes_nothing_else_for_all(api, value):
    refused = api.get(f"{GRAPHS}?is_archived={value}")

    assert (refused.status_code, refused.data["errors"][0]["path"]) == (400, "is_archived")
