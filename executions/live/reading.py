"""Read live events: number what has happened since, and say what it was. The only reader of the statements `live_*`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from psycopg.rows import dict_row
from pydantic_core import from_json, to_json

from executions import statements
from executions.engine.live import LAST_KINDS, NODE_ENDS, LiveKind

#: A larger event is told without its outputs: they are read where they are stored.
MAX_EVENT_BYTES = 16 * 1024
#: So many are read at once, and so many of the last of an execution that others have read before.
AT_ONCE = 200
TAIL = 100

#: Stands for a value that was not read.
TOO_LARGE: Final = object()
#: What an execution or a firing failed of, if it did.
ERROR = ("code", "message", "hint")


@dataclass(frozen=True, slots=True)
class Told:
    """One numbered event, as it is sent: its JSON."""

    number: int
    kind: LiveKind
    body: bytes

    @property
    def is_last(self) -> bool:
        """Say whether the execution has ended with it."""
        return self.kind in LAST_KINDS


def look(after: Mapping[UUID, int]) -> dict[UUID, list[Told]]:
    """Number what has happened to these executions, and return of each what comes after a number; after -1, the last few.

    Somebody else may be numbering them just now: then what that finds is there with the next look.
    """
    with transaction.atomic(durable=True), statements.planning_cursor() as cursor:
        statements.run(cursor, "live_turns", ids=list(after))
        if ids := [execution_id for (execution_id,) in cursor]:
            statements.run(cursor, "live_number", ids=ids)
    # Only what is committed is told: nobody must see a number that a crash gives to something else.
    return read(after)


def read(after: Mapping[UUID, int]) -> dict[UUID, list[Told]]:
    """Return of each execution what comes after a number, as far as it is numbered; after -1, the last few."""
    found: dict[UUID, list[Told]] = {}
    with statements.planning_cursor() as cursor:
        cursor.row_factory = dict_row  # type: ignore[assignment]
        values = {"ids": list(after), "after": list(after.values())}
        statements.run(cursor, "live_read", **values, limit=AT_ONCE, tail=TAIL, max_bytes=MAX_EVENT_BYTES)
        for row in _rows(cursor):
            found.setdefault(row["execution_id"], []).append(_told(row))
    return found


def _rows(cursor: Any) -> Iterator[dict[str, Any]]:
    yield from cursor


def _told(row: Mapping[str, Any]) -> Told:
    kind = LiveKind(row["kind"])
    event: dict[str, Any] = {"id": row["number"], "type": kind, "at": _moment(row["at"])}
    if row["node_key"]:
        event |= {"node": row["node_key"], "path": row["item_path"]}
    if row["attempt"]:
        event["attempt"] = row["attempt"]
    return Told(row["number"], kind, _fitting(event, _data(kind, row)))


def _fitting(event: dict[str, Any], data: dict[str, Any]) -> bytes:
    """Return an event as it is sent; what makes it too large is left out, and named."""
    missing = {name for name, value in data.items() if value is TOO_LARGE}
    for more in (set(), {"outputs"}, set(data)):
        left_out = (missing | more) & data.keys()
        kept = {name: value for name, value in data.items() if name not in left_out}
        body = to_json(event | kept | ({"left_out": sorted(left_out)} if left_out else {}))
        if len(body) <= MAX_EVENT_BYTES:
            break
    return body


def _data(kind: LiveKind, row: Mapping[str, Any]) -> dict[str, Any]:
    if kind in LAST_KINDS:
        return _end(row)
    if kind in NODE_ENDS:
        return _node_end(row)
    if kind is LiveKind.NODE_RETRYING:
        return _attempt(row)
    if kind is LiveKind.NODE_WAITING:
        return _wait(row)
    if kind is LiveKind.NODE_WOKEN:
        return {"wait": row["wait_id"], "outcome": row["wait_status"]}
    return {}


def _end(row: Mapping[str, Any]) -> dict[str, Any]:
    error = {name: row[f"end_{name}"] for name in (*ERROR, "node")}
    return {
        "outputs": _outputs(row["all_outputs"]),
        "error": error if error["code"] else None,
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"],
        "cost_microcredits": row["all_microcredits"],
    }


def _node_end(row: Mapping[str, Any]) -> dict[str, Any]:
    error = {name: row[f"error_{name}"] for name in ERROR}
    return {
        # What was taken over from another execution stands there.
        **({"reused_from": row["origin_id"]} if row["origin_id"] else {"outputs": _outputs(row["outputs"])}),
        "error": error if error["code"] else None,
        "usage": from_json(row["usage"]),
        "cost_microcredits": row["cost_microcredits"],
        **({"missing_pins": row["missing_pins"]} if row["missing_pins"] else {}),
    }


def _outputs(outputs: Any) -> Any:
    return TOO_LARGE if outputs is None else from_json(outputs)


def _attempt(row: Mapping[str, Any]) -> dict[str, Any]:
    tried: Mapping[str, Any] = next(
        (one for one in from_json(row["history"] or "[]") if one["attempt"] == row["attempt"]), {}
    )
    return {
        "error": {"code": tried.get("code", ""), "message": tried.get("message", "")},
        "cost_microcredits": tried.get("cost_microcredits", 0),
    }


def _wait(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "wait": row["wait_id"],
        "for": row["wait_kind"],
        "title": row["title"],
        "event": row["event"],
        "due_at": row["due_at"] and _moment(row["due_at"]),
        "child": row["child_id"],
    }


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
