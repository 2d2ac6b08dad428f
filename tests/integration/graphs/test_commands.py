"""Graphs from the command line."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from graphs import documents, services
from graphs.models import Graph
from graphs.services import TEMPLATES
from tests.integration.graphs.drawings import document, make_graph, make_published, make_user

pytestmark = pytest.mark.django_db


def run(*arguments: str | Path) -> str:
    output = StringIO()
    call_command(*map(str, arguments), stdout=output)
    return output.getvalue()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "graph.yaml"
    path.write_text(documents.write(document(), "yaml"))
    return path


def test_a_graph_comes_in_as_a_draft_and_its_id_is_printed(file):
    make_user("ann")

    printed = run("import_graph", file, "--owner", "ann")

    graph = Graph.objects.get()
    assert printed == f"{graph.pk}\n"
    assert graph.owner.username == "ann"
    assert not graph.versions.get().is_published


def test_a_graph_comes_in_published(file):
    make_user("ann")

    run("import_graph", file, "--owner", "ann", "--publish")

    assert services.latest_version(Graph.objects.get()).number == 1


def test_what_can_not_be_published_is_not_stored_either(tmp_path):
    make_user("ann")
    file = tmp_path / "graph.json"
    file.write_text(documents.write(document(links=[]), "json"))

    with pytest.raises(CommandError, match=r"MISSING_INPUT +nodes\[2\]\.inputs\.input: "):
        run("import_graph", file, "--owner", "ann", "--publish")

    assert not Graph.objects.exists()


def test_an_owner_who_does_not_exist_is_told(file):
    with pytest.raises(CommandError, match="no user 'ann'"):
        run("import_graph", file, "--owner", "ann")


@pytest.mark.parametrize("syntax", ["json", "yaml"])
def test_what_goes_out_comes_in_again(syntax, tmp_path):
    owner = make_user("ann")
    text = run("export_graph", make_graph(owner).pk, "--format", syntax)
    file = tmp_path / f"graph.{syntax}"
    file.write_text(text)

    graph_id = run("import_graph", file, "--owner", "ann").strip()

    assert run("export_graph", graph_id, "--format", syntax) == text


def test_a_graph_goes_out_by_its_name_and_an_old_version_by_its_number():
    graph = make_published(name="Named")
    services.save_draft(graph, document(name="Named", links=[]))

    assert "links: []" in run("export_graph", "Named")
    assert "links: []" not in run("export_graph", "Named", "--number", "1")


def test_a_graph_that_does_not_exist_is_told():
    with pytest.raises(CommandError, match="no graph 'gone'"):
        run("export_graph", "gone")


def test_a_file_without_problems_is_said_to_have_none(file):
    assert run("validate_graph", file) == "Greeting: 3 nodes, 2 links, no problems.\n"


@pytest.mark.parametrize("template", ["research", "code-review"])
def test_the_shipped_templates_have_no_problems(template):
    assert "no problems" in run("validate_graph", TEMPLATES / f"{template}.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\nnodes: [{id: a, block_id: gone}]", "UNKNOWN_BLOCK"),
        ("name: x\ncolour: 1", "UNKNOWN_KEY"),
        ("a: [", "not YAML"),
    ],
)
def test_a_file_with_problems_has_them_listed(tmp_path, text, told):
    file = tmp_path / "graph.yaml"
    file.write_text(text)

    with pytest.raises(CommandError, match=told):
        run("validate_graph", file)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        run("validate_graph", tmp_path / "gone.yaml")
