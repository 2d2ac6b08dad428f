"""What suspended firings have waited for, once it came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from executions.engine.items import Path
from executions.engine.waits import WaitStatus
from executions.leases import Claim
from executions.models import Wait

#: By node key and path, what came for each call key.
Answers = dict[tuple[str, Path], dict[str, Any]]


def answers_of(execution_id: UUID, claims: Iterable[Claim]) -> Answers:
    """Return what came for those of these firings that have waited."""
    waited = {(claim.node_key, claim.path) for claim in claims if claim.waits}
    found: Answers = {}
    if not waited:
        return found
    rows = Wait.objects.filter(
        execution_id=execution_id,
        node_key__in={key for key, _ in waited},
        item_path__in=[list(path) for _, path in waited],
    ).exclude(status=WaitStatus.OPEN)
    for wait in rows.select_related("answered_by").defer("form"):
        place = (wait.node_key, tuple(wait.item_path))
        if place in waited:
            found.setdefault(place, {})[wait.call_key] = _as_answer(wait)
    return found


def _as_answer(wait: Wait) -> Mapping[str, Any]:
    return {
        "kind": wait.kind,
        "status": wait.status,
        "answer": wait.answer,
        "data": wait.data,
        "timeout_action": wait.timeout_action,
        "answered_by": wait.answered_by.get_username() if wait.answered_by else "",
        "answered_at": wait.answered_at,
        "comment": wait.comment,
    }
