"""Publishing, finding and naming versions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from blocks import registry
from blocks.facts import BlockFacts
from blocks.sdk import BlockType
from graphs import services
from graphs.errors import (
    GraphInvalid,
    GraphNotFound,
    NothingToPublish,
    NotPublished,
    TemplateNotFound,
)
from graphs.models import Graph
from tests.integration.graphs.drawings import document, make_graph, make_published, make_user

pytestmark = pytest.mark.django_db


class TestPublish:
    def test_freezes_the_draft_under_the_next_number(self):
        graph = make_graph()
        first = services.publish(graph)
        services.save_draft(graph, document(links=document().links[1:], nodes=document().nodes[1:]))

        second = services.publish(graph)

        assert (first.number, second.number) == (1, 2)
        assert first.checksum != second.checksum
        assert second.is_published
        assert services.latest_version(graph) == second

    def test_gives_the_latest_version_if_the_draft_says_nothing_new(self):
        graph = make_graph()
        first = services.publish(graph)
        services.save_draft(graph, document(name="Only the name is new"))

        again = services.publish(graph)

        assert again == first
        assert graph.versions.count() == 1

    def test_gives_the_latest_version_if_there_is_no_draft(self):
        graph = make_graph()

        assert services.publish(graph) == services.publish(graph)

    def test_keeps_what_the_blocks_declare(self):
        version = services.publish(make_graph())

        facts = {node.block_id: BlockFacts.from_data(node.facts) for node in version.nodes.all()}

        assert facts == {block_id: BlockFacts.of(registry.get(block_id)) for block_id in facts}
        assert facts["input-block"].block_type is BlockType.INPUT

    def test_keeps_nothing_of_blocks_in_a_draft(self):
        assert set(make_graph().versions.get().nodes.values_list("facts", flat=True)) == {None}

    def test_keeps_them_for_each_version(self):
        graph = make_graph()
        services.publish(graph)
        services.save_draft(graph, document(links=document().links[1:], nodes=document().nodes[1:]))

        second = services.publish(graph)

        assert None not in second.nodes.values_list("facts", flat=True)

    def test_costs_the_same_number_of_queries_whatever_the_size(self, django_assert_max_num_queries):
        nodes = [{"id": f"n{index}", "block_id": "constant-block", "inputs": {"value": 1}} for index in range(900)]
        graph = make_graph(nodes=nodes, links=[])

        with django_assert_max_num_queries(14):
            services.publish(graph)

    def test_refuses_a_draft_with_problems_and_leaves_it_a_draft(self):
        graph = make_graph(links=[])

        with pytest.raises(GraphInvalid) as refused:
            services.publish(graph)

        assert [one.code for one in refused.value.problems] == ["MISSING_INPUT"]
        assert not graph.versions.get().is_published

    def test_refuses_more_nodes_than_the_operator_allows(self, settings):
        settings.AGENTPLATFORM_MAX_NODES_PER_GRAPH = 2

        with pytest.raises(GraphInvalid, match="3 nodes; 2 are allowed"):
            services.publish(make_graph())

    def test_needs_something_to_publish(self):
        with pytest.raises(NothingToPublish):
            services.publish(Graph.objects.create(owner=make_user(), name="empty"))


@pytest.mark.django_db(transaction=True)
def test_publishers_at_the_same_moment_get_the_same_version():
    graph = make_graph()

    def publish(_: int) -> int | None:
        try:
            return services.publish(graph).number
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        numbers = set(pool.map(publish, range(8)))

    assert numbers == {1}
    assert graph.versions.count() == 1


@pytest.mark.django_db(transaction=True)
def test_who_saves_and_who_publishes_at_the_same_moment_both_succeed():
    graph = make_graph()

    def change(number: int) -> None:
        try:
            if number % 2:
                services.publish(graph)
            else:
                nodes = [{"id": "a", "block_id": "constant-block", "inputs": {"value": number}}]
                services.save_draft(graph, document(nodes=nodes, links=[]))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(40)))

    numbers = list(graph.versions.published().values_list("number", flat=True))
    assert numbers == list(range(len(numbers), 0, -1))
    assert graph.versions.drafts().count() <= 1


class TestSaveDraft:
    def test_replaces_the_draft_and_leaves_what_is_published(self):
        graph = make_published()
        version = services.latest_version(graph)

        services.save_draft(graph, document(links=[]))

        assert version.links.count() == 2
        assert services.drawn_version(graph).links.count() == 0

    def test_shows_the_latest_version_where_there_is_no_draft(self):
        graph = make_published()

        assert services.drawn_version(graph) == services.latest_version(graph)


def test_a_graph_that_was_never_published_has_no_latest_version():
    with pytest.raises(NotPublished):
        services.latest_version(make_graph())


def test_an_old_version_can_be_exported_by_its_number():
    graph = make_published()
    services.save_draft(graph, document(links=[]))

    assert "links: []" in services.export_document(graph, syntax="yaml")
    assert "links: []" not in services.export_document(graph, syntax="yaml", number=1)
    with pytest.raises(GraphNotFound):
        services.export_document(graph, syntax="yaml", number=2)


class TestFind:
    def test_finds_by_id_and_by_a_name_that_only_one_has(self):
        graph = make_graph(name="Only one")

        assert services.find(str(graph.pk)) == graph
        assert services.find("Only one") == graph

    def test_refuses_a_name_that_several_have_and_gives_their_ids(self):
        graphs = [make_graph(name="Twin"), make_graph(name="Twin")]

        with pytest.raises(GraphNotFound) as refused:
            services.find("Twin")

        assert all(str(graph.pk) in refused.value.hint for graph in graphs)

    def test_looks_among_those_given_only(self):
        graph = make_graph()

        with pytest.raises(GraphNotFound):
            services.find(str(graph.pk), among=Graph.objects.owned_by(make_user()))

    def test_tells_when_there_is_none(self):
        with pytest.raises(GraphNotFound):
            services.find("00000000-0000-0000-0000-000000000000")


@pytest.mark.parametrize("template", ["", "nothing", "../errors", "research.yaml"])
def test_a_template_that_is_not_shipped_is_told(template):
    with pytest.raises(TemplateNotFound, match="no template"):
        services.template_document(template)


def test_saving_costs_the_same_number_of_queries_whatever_the_size(django_assert_max_num_queries):
    nodes = [{"id": f"n{index}", "block_id": "constant-block"} for index in range(900)]
    built = document(nodes=nodes, links=[])
    owner = make_user()

    with django_assert_max_num_queries(12):
        services.create(owner_id=owner.pk, document=built)
