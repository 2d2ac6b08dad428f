"""Graphs as files: what a folder says, what the platform has, and how to make the second like the first."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from agentplatform_client import graphs
from agentplatform_client.client import Client
from agentplatform_client.errors import UsageError
from agentplatform_client.types import Graph, Problem

SUFFIXES = (".yaml", ".yml", ".json")
Action = Literal["create", "update", "publish", "keep", "archive"]


@dataclass(frozen=True, slots=True)
class Document:
    """One graph in a file."""

    path: Path
    data: dict[str, Any]

    @property
    def name(self) -> str:
        """Return what the graph is called: by that it is found again."""
        return str(self.data["name"])


@dataclass(frozen=True, slots=True)
class Change:
    """What one graph needs to be as its file says."""

    action: Action
    name: str
    document: Document | None = None
    graph: Graph | None = None
    #: As the platform has it and as the file says, both as exported.
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    problems: Sequence[Problem] = ()

    def as_diff(self) -> list[str]:
        """Return what differs, as lines that `patch` understands."""
        before, after = _lines(self.before), _lines(self.after)
        return list(difflib.unified_diff(before, after, f"platform/{self.name}", f"files/{self.name}", lineterm=""))


def read(paths: Iterable[Path]) -> list[Document]:
    """Return the documents in files, and in all files below folders.

    Raises:
        UsageError: a file can not be read, is no document, leaves out the id of a node, or names a graph that another one names.
    """
    found: dict[str, Document] = {}
    for file in sorted({file for path in paths for file in _files(path)}):
        document = _read(file)
        if other := found.get(document.name):
            raise UsageError(f"{file} and {other.path} both name a graph {document.name!r}.")
        found[document.name] = document
    return list(found.values())


def compare(client: Client, documents: Sequence[Document], *, prunes: bool = False) -> Iterator[Change]:
    """Yield what each graph needs. Graphs that no document names are left alone, or, where it `prunes`, put away.

    Raises:
        UsageError: two graphs of the platform have the same name; or there is no document at all, and all graphs would be put away.
        ApiError: the platform said no.
    """
    if prunes and not documents:
        raise UsageError("There is no document here: all graphs would be put away.")
    named: dict[str, list[Graph]] = {}
    for graph in client.each(graphs.find(is_archived=False)):
        named.setdefault(graph["name"], []).append(graph)
    for document in documents:
        found = named.get(document.name, [])
        if len(found) > 1:
            ids = ", ".join(graph["id"] for graph in found)
            raise UsageError(
                f"The platform has {len(found)} graphs that are called {document.name!r} ({ids}): "
                "a file can not tell which it means. Rename one or put it away, or run one by its id."
            )
        yield _compare(client, document, found[0] if found else None)
    if prunes:
        kept = {document.name for document in documents}
        for graph in (one for name in sorted(named.keys() - kept) for one in named[name]):
            yield Change("archive", graph["name"], None, graph, _drawn(client, graph))


def carry_out(client: Client, change: Change) -> int | None:
    """Make the platform as the file says. Return the number of the version that is the latest then.

    Raises:
        ApiError: the platform said no.
    """
    if change.action == "keep":
        return change.graph["latest_version"] if change.graph else None
    if change.action == "archive" and change.graph:
        _put_away(client, change)
        return None
    assert change.document is not None
    if change.graph is None:
        graph_id = client.do(graphs.create(change.document.data))["id"]
    else:
        graph_id = change.graph["id"]
        if change.action == "update":
            drawn = client.read(graphs.get(graph_id))
            document = _with_credentials(drawn.answer["document"], change.document.data)
            client.do(graphs.update(graph_id, document).only_if(drawn.etag))
    return client.do(graphs.publish(graph_id))["number"]


def _put_away(client: Client, change: Change) -> None:
    """Put a graph away, if it is still as it was compared.

    Raises:
        EditedMeanwhile: it is not.
    """
    assert change.graph is not None
    read = client.read(graphs.get(change.graph["id"]))
    if _drawn(client, change.graph) != change.before:
        raise UsageError(f"{change.name!r} is just being edited: look at it again.")
    client.do(graphs.archive(change.graph["id"]).only_if(read.etag))


def _compare(client: Client, document: Document, graph: Graph | None) -> Change:
    verdict = client.do(graphs.validate(document.data))
    after = verdict["document"]
    if graph is None:
        return Change("create", document.name, document, None, None, after, verdict["problems"])
    before = _drawn(client, graph)
    action: Action = "update" if before != after else "publish" if graph["has_draft"] else "keep"
    return Change(action, document.name, document, graph, before, after, verdict["problems"])


def _drawn(client: Client, graph: Graph) -> Any:
    return yaml.safe_load(client.do(graphs.export(graph["id"], syntax="json")))


def _with_credentials(drawn: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with the credentials that the graph's nodes name now: no file says any, and none shall be lost."""
    named = {node["id"]: node["credentials"] for node in drawn.get("nodes", []) if node.get("credentials")}
    nodes = [
        {"credentials": named[node["id"]], **node} if node["id"] in named else node for node in data.get("nodes", [])
    ]
    return {**data, "nodes": nodes}


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for file in path.rglob("*"):
        is_hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.suffix in SUFFIXES and file.is_file() and not is_hidden:
            yield file


def _read(path: Path) -> Document:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} can not be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{path} is neither YAML nor JSON: {error}") from error
    if (
        not isinstance(data, dict)
        or not isinstance(data.get("name"), str)
        or not isinstance(data.get("nodes", []), list)
    ):
        raise UsageError(f"{path} is no graph document: it has no name, or no list of nodes.")
    for number, node in enumerate(data.get("nodes", []), 1):
        if not isinstance(node, dict) or not node.get("id"):
            raise UsageError(f"{path}: give node {number} an id, so that it is the same node each time.")
    return Document(path, data)


def _lines(data: Mapping[str, Any] | None) -> list[str]:
    return [] if data is None else yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120).splitlines()
