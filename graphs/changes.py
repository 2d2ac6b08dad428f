"""What has changed between two versions of a graph, as people read it."""

from __future__ import annotations

from difflib import unified_diff

from graphs import documents
from graphs.documents import GraphModel
from graphs.models import GraphVersion


def between(before: GraphVersion, after: GraphVersion) -> str:
    """Return the unified diff of two documents as YAML; nothing if they say the same."""
    then, now = (_lines(version) for version in (before, after))
    return "".join(unified_diff(then, now, fromfile=str(before), tofile=str(after)))


def _lines(version: GraphVersion) -> list[str]:
    return documents.write(GraphModel.load(version), "yaml").splitlines(keepends=True)
