"""How people read what an execution did: durations, counts, values. Pure, and the same in terminal and console."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from executions.engine.status import NODE_FINAL, NodeStatus
from executions.engine.waits import WaitKind

#: In this order counts are told.
_WORDS = {
    NodeStatus.RUNNING: "running",
    NodeStatus.WAITING: "waiting",
    NodeStatus.PENDING: "pending",
    NodeStatus.SUCCEEDED: "done",
    NodeStatus.FAILED: "failed",
    NodeStatus.SKIPPED: "skipped",
    NodeStatus.INCOMPLETE: "incomplete",
    NodeStatus.CANCELLED: "cancelled",
}

_ASKED = {
    WaitKind.TIMER: "a moment",
    WaitKind.APPROVAL: "an approval",
    WaitKind.DECISION: "a decision",
    WaitKind.CHILD: "a sub-graph",
}


def show_duration(duration: timedelta | float | None) -> str:
    """Return a duration as a person reads it: `42 ms`, `1.2 s`, `3 min 05 s`, `2 h 10 min`; nothing for None."""
    if duration is None:
        return ""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if seconds < 0.0005:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def elapsed(started_at: datetime | None, ended_at: datetime | None, *, at: datetime) -> timedelta | None:
    """Return how long something took, or has taken until `at`; None if it has not begun."""
    if started_at is None:
        return None
    return max((ended_at or at) - started_at, timedelta())


def show_tokens(usage: Mapping[str, Any]) -> str:
    """Return the tokens of a usage as `120 + 45`, those read first; nothing where none were used."""
    read, written = _whole(usage.get("input_tokens")), _whole(usage.get("output_tokens"))
    return f"{read:,} + {written:,}" if read or written else ""


def show_position(position: int | None) -> str:
    """Return a place in line as `number 12 in line`; nothing for None."""
    return "" if position is None else f"number {position:,} in line"


def show_counts(counts: Mapping[NodeStatus, int]) -> str:
    """Return how the firings of a node stand: `done` for a single one, `3 running, 12 done` for several."""
    told = [(counts[status], word) for status, word in _WORDS.items() if counts.get(status)]
    if len(told) == 1 and told[0][0] == 1:
        return told[0][1]
    return ", ".join(f"{count:,} {word}" for count, word in told)


def overall(counts: Mapping[NodeStatus, int]) -> NodeStatus:
    """Return the one status that stands for all firings of a node: what still moves, then what went wrong."""
    present = {status for status, count in counts.items() if count}
    moving = [status for status in _WORDS if status in present and status not in NODE_FINAL]
    ended = (NodeStatus.FAILED, NodeStatus.INCOMPLETE, NodeStatus.CANCELLED, NodeStatus.SUCCEEDED, NodeStatus.SKIPPED)
    return next(iter([*moving, *(status for status in ended if status in present)]), NodeStatus.PENDING)


def show_path(path: Iterable[int]) -> str:
    """Return an item path as people count: `#1`, `#2.3`; nothing for the plain path, or where a stream had no item."""
    numbers = [str(number + 1) for number in path if number >= 0]
    return "#" + ".".join(numbers) if numbers else ""


def show_asked(kind: WaitKind, *, event: str = "") -> str:
    """Return what something waits for, as the rest of `waits for …`: `an approval`, `the event invoice.paid`."""
    return f"the event {event}" if kind is WaitKind.EVENT else _ASKED[kind]


def show_wait(kind: WaitKind, *, title: str = "", event: str = "", due_at: datetime | None = None) -> str:
    """Return what something waits for, with its title and the moment until which it waits."""
    until = f", until {due_at:%Y-%m-%d %H:%M:%S} UTC" if due_at else ""
    return f"waits for {show_asked(kind, event=event)}{f': {title}' if title else ''}{until}"


def pretty(value: Any) -> str:
    """Return a stored value as text: a text as it is, everything else as indented JSON."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def first_line(values: Iterable[Any], *, length: int = 120) -> str:
    """Return the beginning of the first of `values` on one line."""
    value = next(iter(values), "")
    # A value may be megabytes, and only its beginning is shown.
    text = value[: length * 8] if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0
