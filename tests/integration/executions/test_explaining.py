"""What would run, over the API: the same that `manage.py explain` prints."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from executions.engine.spec import LinkSpec
from executions.models import Execution
from graphs import services
from graphs.documents import GraphModel, NodeModel
from tests.blocks import node
from tests.factories import make_key, make_published, make_user

pytestmark = pytest.mark.django_db

NODES = [node("a", "test.source"), node("b", "test.echo-io"), node("c", "test.echo-cpu"), node("d", "test.pair")]
LINKS = [
    LinkSpec("a", "output", "b", "input"),
    LinkSpec("a", "output", "c", "input"),
    LinkSpec("b", "output", "d", "a"),
    LinkSpec("c", "output", "d", "b"),
]


@pytest.fixture
def user():
    return make_user()


@pytest.fixture
def client(user):
    return APIClient(headers={"Authorization": f"Bearer {make_key(user)}"})


def test_says_what_runs_where_and_in_which_waves(client, user):
    version = make_published(NODES, LINKS, owner=user)

    told = client.get(f"/api/v1/graphs/{version.graph_id}/explain/").data

    assert {one["key"]: one["placement"] for one in told["nodes"]} == {
        "a": "inline",
        "b": "io",
        "c": "cpu",
        "d": "inline",
    }
    assert {queue for one in told["segments"] for queue in [one["queue"]]} == {"default", "cpu"}
    assert next(one["after"] for one in told["nodes"] if one["key"] == "d") == ["b", "c"]
    assert "chord" in {canvas["kind"] for wave in told["waves"] for canvas in wave}
    ran = [
        index
        for wave in told["waves"]
        for canvas in wave
        for task in [*canvas["tasks"], *([canvas["body"]] if canvas["body"] else [])]
        for index in task["segments"]
    ]
    assert sorted(ran) == [one["index"] for one in told["segments"]]
    assert (told["version"], Execution.objects.count()) == (1, 0)


def test_says_what_the_command_prints(client, user):
    version = make_published(NODES, LINKS, owner=user)

    told = client.get(f"/api/v1/graphs/{version.graph_id}/explain/", {"version": 1}).data
    call_command("explain", str(version.graph_id), stdout=(out := StringIO()))

    printed = out.getvalue()
    for segment in told["segments"]:
        assert f"segment {segment['index']}: {' '.join(segment['nodes'])}  queue {segment['queue']}" in printed
    assert printed.count("wave ") == len(told["waves"])


def test_goes_by_the_draft_unless_a_version_is_named(client, user):
    version = make_published(NODES, LINKS, owner=user)
    document = GraphModel(name="one", nodes=[NodeModel(id="only", block_id="test.source")])
    services.save_draft(version.graph, document)
    path = f"/api/v1/graphs/{version.graph_id}/explain/"

    draft, first, second = client.get(path), client.get(path, {"version": 1}), client.get(path, {"version": 2})

    assert ([one["key"] for one in draft.data["nodes"]], draft.data["version"]) == (["only"], None)
    assert len(first.data["nodes"]) == 4
    assert (second.status_code, second.data["code"]) == (404, "GRAPH_NOT_FOUND")


def test_refuses_a_draft_that_can_not_be_published(client, user):
    graph = services.create(owner_id=user.pk, document=GraphModel(name="x", nodes=[NodeModel(id="a", block_id="none")]))

    answer = client.get(f"/api/v1/graphs/{graph.pk}/explain/")

    assert (answer.status_code, answer.data["code"]) == (422, "GRAPH_INVALID")
