"""The console's pages of graphs."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from graphs import services
from graphs.models import Graph
from tests.integration.graphs.drawings import make_graph, make_published, make_user

pytestmark = pytest.mark.django_db

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def console():
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


def publish(console: Client, graph: Graph):
    chosen = {"action": "publish", "_selected_action": [str(graph.pk)]}
    return console.post(reverse("admin:graphs_graph_changelist"), chosen, follow=True)


@pytest.mark.parametrize("model", ["graph", "graphversion", "node", "link"])
def test_every_list_and_page_opens_and_escapes_what_users_wrote(console, model):
    graph = make_published(name=HOSTILE)
    version = services.latest_version(graph)
    shown = {"graph": graph, "graphversion": version, "node": version.nodes.first(), "link": version.links.first()}[
        model
    ]

    listed = console.get(reverse(f"admin:graphs_{model}_changelist"))
    opened = console.get(reverse(f"admin:graphs_{model}_change", args=[shown.pk]))

    assert (listed.status_code, opened.status_code) == (200, 200)
    assert HOSTILE not in (listed.content + opened.content).decode()


@pytest.mark.parametrize("model", ["graph", "graphversion", "node", "link"])
def test_nothing_is_drawn_in_the_console(console, model):
    assert console.get(reverse(f"admin:graphs_{model}_add")).status_code == 403


def test_a_version_shows_its_nodes_and_links(console):
    version = services.latest_version(make_published())

    page = console.get(reverse("admin:graphs_graphversion_change", args=[version.pk])).content.decode()

    assert "template-block" in page
    assert "values_#_name" in page


def test_a_version_shows_how_often_and_how_long_its_nodes_are_tried(console):
    nodes = [
        {
            "id": "a",
            "block_id": "constant-block",
            "inputs": {"value": 1},
            "retry": {"on": ["RATE_LIMITED"]},
            "timeout_s": 77.25,
        }
    ]
    version = services.latest_version(make_published(nodes=nodes, links=[]))

    pages = [
        console.get(reverse(f"admin:graphs_{model}_change", args=[row.pk])).content.decode()
        for model, row in [("graphversion", version), ("node", version.nodes.get())]
    ]

    assert all("RATE_LIMITED" in page and "77.25" in page for page in pages)
    assert "inline" in pages[1].split("Technical")[1], "what the version keeps of the block"


@pytest.mark.parametrize("model", ["graphversion", "node", "link"])
def test_what_is_drawn_can_be_looked_at_only(console, model):
    version = make_graph().versions.get()
    shown = {"graphversion": version, "node": version.nodes.first(), "link": version.links.first()}[model]

    assert console.post(reverse(f"admin:graphs_{model}_change", args=[shown.pk]), {}).status_code == 403
    assert console.post(reverse(f"admin:graphs_{model}_delete", args=[shown.pk]), {"post": "yes"}).status_code == 403


def test_publish_publishes(console):
    graph = make_graph()

    page = publish(console, graph)

    assert services.latest_version(graph).number == 1
    assert "published as version 1" in page.content.decode()


def test_publish_says_what_is_in_the_way(console):
    graph = make_graph(links=[])

    page = publish(console, graph)

    assert not graph.versions.published().exists()
    assert "nodes[2].inputs.input" in page.content.decode()


def test_a_published_graph_can_be_deleted_as_a_whole(console):
    graph = make_published()

    console.post(reverse("admin:graphs_graph_delete", args=[graph.pk]), {"post": "yes"})

    assert not Graph.objects.exists()


def change(console: Client, graph: Graph, **fields: Any) -> None:
    inline = {f"versions-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    whole = {"name": graph.name, "description": ""} | fields | inline
    console.post(reverse("admin:graphs_graph_change", args=[graph.pk]), whole)


@pytest.mark.parametrize(("given", "kept"), [("3", 3), ("", None), ("0", 7), ("-1", 7)])
def test_how_many_executions_of_a_graph_run_at_a_time_is_set_in_the_console(console, given, kept):
    graph = make_graph()
    Graph.objects.update(max_concurrent=7)

    change(console, graph, max_concurrent=given)

    assert Graph.objects.get().max_concurrent == kept


def test_a_graph_can_be_renamed_but_not_given_away(console):
    graph = make_graph()

    change(console, graph, name="New", is_archived="on", owner=make_user().pk)

    changed = Graph.objects.get()
    assert (changed.name, changed.is_archived, changed.owner) == ("New", True, graph.owner)
