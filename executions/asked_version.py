"""Which version a start asks for, by a graph's id or its own, among what is its user's."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from agentplatform.lib.one_graph import only_graph_of
from executions import statements
from graphs.errors import GraphArchived, GraphNotFound, NotPublished
from graphs.models import Graph, GraphVersion


def asked_version(user: Any, *, graph_id: UUID | None, version_id: UUID | None) -> GraphVersion:
    """Return the latest published version of a graph, or the version itself, with what an answer tells of both.

    Raises:
        GraphNotFound: there is none, or it is somebody else's.
        GraphArchived, NotPublished: the graph was put away, or has no published version.
    """
    if graph_id is not None:
        return _latest_of(user, graph_id)
    mine = GraphVersion.objects.owned_by(user).select_related("graph").only("number", "graph__name")
    version = mine.filter(pk=version_id).first() if version_id else None
    if version is None:
        raise GraphNotFound(f"There is no version {version_id}.", path="version")
    return version


def _latest_of(user: Any, graph_id: UUID) -> GraphVersion:
    with statements.cursor() as cursor:
        statements.run(cursor, "asked_version", graph_id=graph_id, owner_id=user.pk)
        row = cursor.fetchone()
    if row is None or only_graph_of(user) not in (None, graph_id):
        raise GraphNotFound(f"There is no graph {graph_id}.", path="graph")
    name, is_archived, version_id, number = row
    if is_archived:
        raise GraphArchived(path="graph")
    if version_id is None:
        raise NotPublished(f"The graph {name!r} has no published version.")
    # In the order in which the model has them, whatever they are called here.
    version = GraphVersion.from_db(None, ["id", "graph_id", "number"], [version_id, graph_id, number])
    version.graph = Graph.from_db(None, ["id", "name"], [graph_id, name])
    return version
