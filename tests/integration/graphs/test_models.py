"""What the database itself refuses, whoever asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, connection, transaction

from agentplatform.lib.clock import now
from graphs.models import Graph, GraphVersion, Link, Node
from tests.integration.graphs.drawings import make_graph, make_published, make_user

pytestmark = pytest.mark.django_db


def refused(change: Callable[[], object], *, by: str) -> bool:
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        change()
    return refusal.value.__cause__.diag.constraint_name == by  # type: ignore[union-attr]


@pytest.mark.parametrize(("end", "rule"), [("source", "starts"), ("sink", "ends")])
def test_a_link_can_not_leave_its_version(end, rule):
    own, other = make_graph().versions.get(), make_graph().versions.get()
    ends = {"source": own.nodes.first(), "sink": own.nodes.last()} | {end: other.nodes.first()}

    change = lambda: Link.objects.create(version=own, source_pin="a", sink_pin="b", order=9, **ends)  # noqa: E731

    assert refused(change, by=f"a_link_{rule}_in_its_own_version")


def test_a_graph_has_at_most_one_draft():
    graph = make_graph()

    assert refused(lambda: GraphVersion.objects.create(graph=graph), by="a_graph_has_at_most_one_draft")


@pytest.mark.parametrize(
    "fields",
    [{"number": 1}, {"checksum": "x"}, {"published_at": now()}, {"published_at": now(), "number": 0, "checksum": "x"}],
)
def test_a_version_is_a_draft_or_has_a_number_and_a_checksum(fields):
    draft = GraphVersion.objects.filter(pk=make_graph().versions.get().pk)

    assert refused(lambda: draft.update(**fields), by="a_published_version_has_a_number_and_a_checksum")


def test_two_nodes_of_a_version_have_two_keys():
    draft = make_graph().versions.get()

    change = lambda: Node.objects.create(version=draft, key="who", block_id="x")  # noqa: E731

    assert refused(change, by="a_node_key_is_unique_in_its_version")


@pytest.mark.parametrize("limit", [0, -1])
def test_a_graph_that_could_never_run_is_refused(limit):
    graph = Graph.objects.filter(pk=make_graph().pk)

    with pytest.raises(IntegrityError):
        graph.update(max_concurrent=limit)


@pytest.mark.parametrize("timeout_s", [0, -1.5])
def test_a_node_without_time_to_run_is_refused(timeout_s):
    draft = make_graph().versions.get()

    assert refused(lambda: draft.nodes.update(timeout_s=timeout_s), by="a_node_has_time_to_run")


@pytest.mark.parametrize(
    "change",
    [
        lambda version: GraphVersion.objects.filter(pk=version.pk).update(number=7),
        lambda version: GraphVersion.objects.filter(pk=version.pk).update(published_at=None, number=None, checksum=""),
        lambda version: version.delete(),
        lambda version: version.nodes.update(title="x"),
        lambda version: version.nodes.update(retry={"attempts": 9}),
        lambda version: version.nodes.update(timeout_s=9),
        lambda version: version.nodes.update(facts=None),
        lambda version: version.nodes.all().delete(),
        lambda version: version.links.update(is_static=False),
        lambda version: version.links.all().delete(),
        lambda version: Node.objects.create(version=version, key="new", block_id="x"),
        lambda version: Node.objects.filter(version__published_at=None).update(version=version),
        lambda version: version.nodes.update(version=GraphVersion.objects.drafts().get()),
        lambda version: Link.objects.create(
            version=version,
            source=version.nodes.first(),
            sink=version.nodes.last(),
            source_pin="a",
            sink_pin="b",
            order=9,
        ),
    ],
)
def test_a_published_version_never_changes(change):
    make_graph()
    version = make_published().versions.get()

    assert refused(lambda: change(version), by="a_published_version_never_changes")


def test_a_draft_can_be_changed_and_deleted():
    draft = make_graph().versions.get()

    draft.nodes.filter(key="greet").delete()

    assert draft.links.count() == 0
    assert draft.delete()[0] == 1
    assert not Node.objects.exists()


def test_a_whole_graph_can_be_deleted_with_its_published_versions():
    graph, kept = make_published(), make_published()

    graph.delete()

    assert list(GraphVersion.objects.values_list("graph_id", flat=True)) == [kept.pk]
    assert Node.objects.count() == 3
    assert Link.objects.count() == 2


def test_a_user_can_be_deleted_with_their_graphs():
    owner = make_user()
    make_published(owner)

    owner.delete()

    assert not Graph.objects.exists()
    assert not Link.objects.exists()


def test_a_graph_can_be_deleted_in_plain_sql():
    graph = make_published()

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM graphs_graph WHERE id = %s", [graph.pk])

    assert not Node.objects.exists()


def test_querysets_show_the_owner_their_own_only():
    mine, _theirs = make_published(owner := make_user()), make_published()

    assert list(Graph.objects.owned_by(owner)) == [mine]
    assert list(GraphVersion.objects.owned_by(owner)) == list(mine.versions.all())
    assert not Graph.objects.owned_by(AnonymousUser()).exists()
    assert not GraphVersion.objects.owned_by(AnonymousUser()).exists()


def test_where_a_block_is_used_is_found_by_an_index():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT id FROM graphs_node WHERE block_id = 'x'")
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "graphs_node_block_id" in plan
