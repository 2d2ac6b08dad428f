"""The attempts of a firing as the rows of a table: those that its row remembers, those that were cut off, and the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agentplatform.lib.clock import now
from agentplatform.lib.money import show
from executions.admin.shown import LABELS
from executions.engine.status import NodeStatus
from executions.models import NodeExecution
from executions.presenting import elapsed, show_duration


@dataclass(frozen=True, slots=True)
class ShownAttempt:
    """One attempt, as the page of its firing tells of it."""

    number: int
    status: str
    label: str
    began: datetime | None = None
    took: str = ""
    code: str = ""
    message: str = ""
    cost: str = ""


def attempts_of(firing: NodeExecution) -> list[ShownAttempt]:
    """Return all attempts in order; one of which nothing is remembered was cut off."""
    remembered = {entry.get("attempt"): entry for entry in firing.history if isinstance(entry, Mapping)}
    earlier = [_earlier(number, remembered.get(number)) for number in range(1, firing.attempt)]
    return [*earlier, _last(firing)]


def _earlier(number: int, entry: Mapping[str, Any] | None) -> ShownAttempt:
    if entry is None:
        return ShownAttempt(number, "CUT OFF", "warning", message="Its worker was lost, or stopped.")
    began, ended = _moment(entry.get("started_at")), _moment(entry.get("ended_at"))
    code = str(entry.get("code") or "")
    return ShownAttempt(
        number,
        "FAILED" if code else "CUT OFF",
        LABELS[NodeStatus.FAILED] if code else "warning",
        began=began,
        took=show_duration(elapsed(began, ended, at=now())) if ended else "",
        code=code,
        message=str(entry.get("message") or ""),
        cost=_cost(entry.get("cost_microcredits")),
    )


def _last(firing: NodeExecution) -> ShownAttempt:
    is_begun = firing.status not in (NodeStatus.PENDING, NodeStatus.WAITING)
    spent = sum(int(entry.get("cost_microcredits") or 0) for entry in firing.history if isinstance(entry, Mapping))
    return ShownAttempt(
        firing.attempt,
        firing.status,
        LABELS[firing.status],
        began=firing.started_at if is_begun else None,
        took=show_duration(elapsed(firing.started_at, firing.ended_at, at=now())) if is_begun else "",
        code=firing.error_code,
        message=firing.error_message,
        cost=_cost(max(0, firing.cost_microcredits - spent)),
    )


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def _cost(microcredits: Any) -> str:
    return show(microcredits) if isinstance(microcredits, int) and microcredits else ""
