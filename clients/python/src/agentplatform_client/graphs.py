"""What can be asked of graphs. A graph is sent and read as a document: `docs/graphs.md` of the platform says what is in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from agentplatform_client.calls import Call, at, given
from agentplatform_client.types import (
    GraphDetail,
    GraphVersion,
    PaginatedGraphList,
    PaginatedGraphVersionList,
    Verdict,
)

Id = str | UUID


def get(graph: Id) -> Call[GraphDetail]:
    """Look at one graph and what is drawn in it."""
    return Call("GET", at("graphs", graph))


def find(*, name: str | None = None, is_archived: bool | None = None) -> Call[PaginatedGraphList]:
    """Find graphs, newest first."""
    return Call("GET", at("graphs"), params=given(name=name, is_archived=is_archived))


def create(document: Mapping[str, Any]) -> Call[GraphDetail]:
    """Make a graph; the document becomes its draft."""
    return Call("POST", at("graphs"), json=dict(document))


def update(graph: Id, document: Mapping[str, Any]) -> Call[GraphDetail]:
    """Replace the draft of a graph."""
    return Call("PUT", at("graphs", graph), json=dict(document))


def publish(graph: Id) -> Call[GraphVersion]:
    """Freeze the draft as the next version; if it says nothing new, the latest version is the answer."""
    return Call("POST", at("graphs", graph, "publish"))


def archive(graph: Id) -> Call[None]:
    """Put a graph away. It stays, with its versions and its executions, and is in no list of what is in use."""
    return Call("DELETE", at("graphs", graph))


def versions(graph: Id) -> Call[PaginatedGraphVersionList]:
    """Look at the published versions, newest first."""
    return Call("GET", at("graphs", graph, "versions"))


def validate(document: Mapping[str, Any]) -> Call[Verdict]:
    """Say everything that keeps a document from being published, and how it would be exported. Stores nothing."""
    return Call("POST", at("graphs", "validate"), json=dict(document))


def export(graph: Id, *, syntax: Literal["yaml", "json"] = "yaml", version: int | None = None) -> Call[str]:
    """Return the document of a graph as text: what is drawn now, or a version by its number."""
    return Call("GET", at("graphs", graph, "export"), params=given(format=syntax, version=version), is_text=True)
