"""A user who asks with a key for one graph: whatever managers give them is of that graph."""

from __future__ import annotations

from typing import Any
from uuid import UUID

ATTRIBUTE = "_only_graph_id"


def limit_to(user: Any, graph_id: UUID | None) -> None:
    """Let this user, as long as the request lasts, see one graph only; None lets them see all of theirs."""
    setattr(user, ATTRIBUTE, graph_id)


def only_graph_of(user: Any) -> UUID | None:
    """Return the one graph that a user may see, or None."""
    return getattr(user, ATTRIBUTE, None)
