"""Documents: built in code as the guide shows, stored, loaded, exported and imported without loss."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from blocks.sdk import Retry
from graphs import documents, services
from graphs.documents import GraphModel, LinkModel, NodeModel
from graphs.errors import GraphInvalid, GraphNotFound, OwnerNotFound
from graphs.models import Graph
from tests.integration.graphs.drawings import amake_user, data, document, make_graph, make_published, make_user


@pytest.fixture
async def connection_is_closed():
    """Close the connection that async code uses on its own thread; the test database could not be dropped otherwise."""
    yield
    await sync_to_async(connections.close_all)()


async def create_dynamic_graph(user_id: str, template: str):
    """Create a graph dynamically based on template: the guide's code, as it stands."""
    graph = GraphModel(
        name=f"Dynamic Graph - {template}",
        description="Auto-generated graph",
        user_id=user_id,
    )

    # Add nodes based on template
    nodes = []
    if template == "research":
        nodes = [
            NodeModel(block_id="search-block", position={"x": 0, "y": 0}),
            NodeModel(block_id="summarize-block", position={"x": 200, "y": 0}),
            NodeModel(block_id="output-block", position={"x": 400, "y": 0}),
        ]
    elif template == "code-review":
        nodes = [
            NodeModel(block_id="github-block", position={"x": 0, "y": 0}),
            NodeModel(block_id="review-block", position={"x": 200, "y": 0}),
            NodeModel(block_id="comment-block", position={"x": 400, "y": 0}),
        ]

    graph.nodes = nodes

    # Create links between nodes
    for i in range(len(nodes) - 1):
        graph.links.append(
            LinkModel(source_id=nodes[i].id, sink_id=nodes[i + 1].id, source_name="output", sink_name="input")
        )

    return await graph.save()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("connection_is_closed")
@pytest.mark.parametrize("template", ["research", "code-review"])
async def test_the_guides_code_stores_a_draft(template):
    owner = await amake_user()

    graph = await create_dynamic_graph(str(owner.pk), template)

    draft = await graph.versions.aget()
    assert graph.owner_id == owner.pk
    assert not draft.is_published
    assert [node.position_x async for node in draft.nodes.all()] == [0, 200, 400]
    links = [
        (link.source.position_x, link.sink.position_x) async for link in draft.links.select_related("source", "sink")
    ]
    assert links == [(0, 200), (200, 400)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("connection_is_closed")
@pytest.mark.parametrize("template", ["research", "code-review"])
async def test_the_shipped_templates_are_published(template):
    owner = await amake_user()

    graph = await services.create_dynamic_graph(owner.pk, template)

    version = await graph.versions.aget()
    assert version.number == 1
    first = await version.nodes.afirst()
    assert first.block_id == "input-block"


pytestmark = pytest.mark.django_db


def test_saving_again_updates_the_same_graph():
    built = document(user_id=make_user().pk)
    first = documents.store(built)

    built.name = "Other"
    del built.nodes[1:], built.links[:]
    second = documents.store(built)

    assert first.pk == second.pk
    assert Graph.objects.get().name == "Other"
    assert second.versions.get().nodes.count() == 1


def test_somebody_elses_graph_is_not_found():
    theirs = make_graph()

    with pytest.raises(GraphNotFound):
        documents.store(document(id=theirs.pk, user_id=make_user().pk, name="Mine now"))

    assert Graph.objects.get().name == "Greeting"


@pytest.mark.parametrize("user_id", [None, "", "nobody", 0, -1, 10**30, "0199-not-a-number", "1\0"])
def test_an_owner_who_does_not_exist_is_told(user_id):
    with pytest.raises(OwnerNotFound):
        documents.store(document(user_id=user_id))


def test_a_draft_may_be_unfinished_but_not_unstorable():
    owner = make_user()
    built = GraphModel(name="g", user_id=owner.pk, nodes=[NodeModel(id="a", block_id="not-known-yet")])
    documents.store(built)

    built.nodes.append(NodeModel(id="a", block_id="x"))
    built.links.append(LinkModel(source_id="a", sink_id="gone", source_name="o", sink_name="i"))

    with pytest.raises(GraphInvalid) as refused:
        documents.store(built)
    assert [one.code for one in refused.value.problems] == ["DUPLICATE_NODE", "FOREIGN_LINK"]


def test_what_is_stored_is_loaded_again():
    built = document()

    loaded = GraphModel.load(make_graph().versions.get())

    assert loaded.as_data() == built.as_data()
    assert loaded.checksum() == built.checksum()


@pytest.mark.parametrize("syntax", ["json", "yaml"])
def test_an_exported_graph_is_imported_as_the_same(syntax):
    graph = make_graph()

    text = services.export_document(graph, syntax=syntax)
    again = services.create(owner_id=graph.owner_id, document=documents.parse(text, syntax))

    assert services.export_document(again, syntax=syntax) == text
    assert again.pk != graph.pk


def test_the_export_is_stable_and_says_its_format_and_nothing_of_its_owner():
    graph = make_published()

    exported = json.loads(services.export_document(graph, syntax="json"))

    assert list(exported) == ["format", "name", "description", "nodes", "links"]
    assert exported["format"] == 1
    assert list(exported["nodes"][1]) == ["id", "block_id", "title", "inputs", "on_error", "position", "metadata"]
    assert list(exported["nodes"][1]["inputs"]["values"]) == ["a", "b"]
    assert exported["nodes"][0]["position"] == {"x": 0, "y": 0}
    assert str(graph.pk) not in json.dumps(exported)


def test_the_yaml_export_reads_well():
    text = services.export_document(make_graph(), syntax="yaml")

    assert text.startswith("format: 1\nname: Greeting\ndescription: Says hello\nnodes:\n- id: who\n")
    assert "template: |-\n      Dear {{ name }},\n      hello\n" in text


def test_the_name_of_a_graph_is_no_part_of_the_checksum():
    assert document(name="A").checksum() == document(name="B", description="").checksum()
    assert document(links=[]).checksum() != document().checksum()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"owner": 1}, ["UNKNOWN_KEY owner"]),
        ({"user_id": 1}, ["UNKNOWN_KEY user_id"]),
        ({"id": "01990000-0000-7000-8000-000000000000"}, ["UNKNOWN_KEY id"]),
        ({"format": 2}, ["BAD_VALUE format"]),
        ({"name": " "}, ["BAD_VALUE name"]),
        ({"name": "a\0"}, ["BAD_VALUE name"]),
        ({"nodes": [{"id": "a", "bloc": "x"}]}, ["MISSING_KEY nodes[0].block_id a", "UNKNOWN_KEY nodes[0].bloc a"]),
        ({"nodes": [{"id": "a b", "block_id": "x"}]}, ["BAD_VALUE nodes[0].id a b"]),
        ({"nodes": [{"block_id": "x", "position": {"x": 1, "y": 2, "z": 3}}]}, ["UNKNOWN_KEY nodes[0].position.z"]),
        ({"nodes": [{"id": "a", "block_id": "x", "inputs": {"v": ["\ud800"]}}]}, ["BAD_VALUE nodes[0].inputs a"]),
        ({"nodes": ["x"]}, ["BAD_VALUE nodes[0]"]),
        (
            {"links": [{"source_id": "a", "sink_id": "b"}]},
            ["MISSING_KEY links[0].source_name", "MISSING_KEY links[0].sink_name"],
        ),
    ],
)
def test_a_wrong_form_is_refused_with_every_place(change, told):
    with pytest.raises(GraphInvalid) as refused:
        GraphModel.read(data() | change)

    assert [f"{one.code} {one.path} {one.node}".strip() for one in refused.value.problems] == told
    assert all(
        one.hint and "Model" not in one.message and "inputs are" not in one.message for one in refused.value.problems
    )


PATIENT = {"attempts": 5, "delay_s": 0.5, "on": ["RATE_LIMITED", "TIMEOUT"]}


def patient(**changes: Any) -> GraphModel:
    """Return a graph one node of which says how often and how long it is tried."""
    whole = data()
    whole["nodes"][1] |= {"retry": PATIENT, "timeout_s": 30} | changes
    return GraphModel.read(whole)


class TestRetryAndTimeout:
    @pytest.mark.parametrize("changes", [{}, {"retry": {}}, {"retry": {"attempts": 1}}, {"timeout_s": 0.25}])
    def test_are_loaded_as_they_were_stored(self, changes):
        built = patient(**changes)
        built.user_id = make_user().pk

        loaded = GraphModel.load(documents.store(built).versions.get())

        assert loaded.as_data() == built.as_data()
        assert loaded.checksum() == built.checksum()

    @pytest.mark.parametrize("syntax", ["json", "yaml"])
    def test_are_the_same_after_export_and_import(self, syntax):
        built = patient()

        again = documents.parse(documents.write(built, syntax), syntax)

        assert again.as_data() == built.as_data()
        assert again.nodes[1].retry.on == ["RATE_LIMITED", "TIMEOUT"]

    def test_are_exported_without_what_has_its_default(self):
        node = patient(retry={"attempts": 3, "delay_s": 2}).as_data()["nodes"][1]

        assert (node["retry"], node["timeout_s"]) == ({"delay_s": 2}, 30)
        assert list(node).index("on_error") < list(node).index("retry") < list(node).index("position")

    def test_are_no_part_of_a_version_that_has_none(self):
        nodes = document().as_data()["nodes"]

        assert all("retry" not in node and "timeout_s" not in node for node in nodes)
        assert document().checksum() == "25d11059f9cce8144360ba116c20ecb4b45ab70b52b32a44a6f3a05c18257f3f", (
            "what was published before must not look changed"
        )

    def test_a_policy_of_nothing_but_defaults_is_still_one(self):
        assert patient(retry={}).as_data()["nodes"][1]["retry"] == {}
        assert patient(retry={}).checksum() != patient(retry=None).checksum()

    def test_a_policy_is_stored_whole_so_that_other_defaults_can_not_change_it(self):
        built = patient(retry={})
        built.user_id = make_user().pk

        row = documents.store(built).versions.get().nodes.get(key="greet")

        assert row.retry == asdict(Retry()) | {"on": []}

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"retry": {"attempts": 0}}, "BAD_VALUE nodes[1].retry.attempts greet"),
            ({"retry": {"attempts": 101}}, "BAD_VALUE nodes[1].retry.attempts greet"),
            ({"retry": {"delay_s": -1}}, "BAD_VALUE nodes[1].retry.delay_s greet"),
            ({"retry": {"delay_s": 400}}, "BAD_VALUE nodes[1].retry greet"),
            ({"retry": {"jitter": 2}}, "BAD_VALUE nodes[1].retry.jitter greet"),
            ({"retry": {"on": ["A B"]}}, "BAD_VALUE nodes[1].retry.on[0] greet"),
            ({"retry": {"on": ["TIMEOUT", "POISON"]}}, "BAD_VALUE nodes[1].retry.on[1] greet"),
            ({"retry": {"on": ["A"] * 51}}, "BAD_VALUE nodes[1].retry.on greet"),
            ({"retry": {"times": 3}}, "UNKNOWN_KEY nodes[1].retry.times greet"),
            ({"retry": 3}, "BAD_VALUE nodes[1].retry greet"),
            ({"timeout_s": 0}, "BAD_VALUE nodes[1].timeout_s greet"),
            ({"timeout_s": 86_401}, "BAD_VALUE nodes[1].timeout_s greet"),
            ({"timeout_s": "soon"}, "BAD_VALUE nodes[1].timeout_s greet"),
        ],
    )
    def test_are_refused_out_of_bounds_with_their_place(self, wrong, told):
        with pytest.raises(GraphInvalid) as refused:
            patient(**wrong)

        assert [f"{one.code} {one.path} {one.node}" for one in refused.value.problems] == [told]


@pytest.mark.parametrize("whole", [None, [], "text", 1, {}])
def test_what_is_no_document_at_all_is_refused(whole):
    with pytest.raises(GraphInvalid):
        GraphModel.read(whole)


def test_a_node_without_a_key_gets_a_short_one_of_its_own():
    keys = {NodeModel(block_id="x").id for _ in range(500)}

    assert len(keys) == 500
    assert max(map(len, keys)) <= 12
