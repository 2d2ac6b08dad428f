"""Run the hot statements: one file each in sql/, with a comment on what makes it safe.

They are prepared on each connection: planning them anew, over all partitions, would cost more than running them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection
from pydantic_core import to_json

from agentplatform.lib import prepared
from agentplatform.lib.prepared import Cursor, cursor

__all__ = ["Cursor", "cursor", "planning_cursor", "portions", "records", "run", "together"]

SQL = Path(__file__).parent / "sql"
#: Postgres holds 256 MB in a JSON value. Beyond this, rows are shared out over several.
MAX_PORTION_BYTES = 64 * 1024 * 1024


@contextmanager
def planning_cursor() -> Iterator[Cursor]:
    """Open a cursor whose statements are planned anew each time, for the very values they are given.

    For what is asked a few times a second at most, about few executions or many: one plan for both would be bad for one of them.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.ClientCursor(connection.connection) as opened:
        yield opened


def run(cursor: Cursor, name: str, **values: Any) -> None:
    """Execute the statement in `sql/<name>.sql` with these values."""
    cursor.execute(_statement(name), values, prepare=None if isinstance(cursor, psycopg.ClientCursor) else True)


@contextmanager
def together() -> Iterator[Callable[..., Cursor]]:
    """Send many statements in one visit to the database: yield a function like `run` that returns the cursor of each.

    Their results, and their errors, are there once the block is left.
    """
    connection.ensure_connection()

    def send(name: str, **values: Any) -> Cursor:
        opened: Cursor = psycopg.Cursor(connection.connection)
        run(opened, name, **values)
        return opened

    with connection.wrap_database_errors, connection.connection.pipeline():
        yield send


def records(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as the one JSON value that `jsonb_to_recordset` takes apart."""
    return to_json(rows).decode()


def portions(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield rows as such JSON values, none of them too large for one."""
    portion: list[bytes] = []
    size = 0
    for row in map(to_json, rows):
        if portion and size + len(row) > MAX_PORTION_BYTES:
            yield _joined(portion)
            portion, size = [], 0
        portion.append(row)
        size += len(row)
    if portion:
        yield _joined(portion)


def _joined(rows: Sequence[bytes]) -> str:
    return f"[{b','.join(rows).decode()}]"


@cache
def _statement(name: str) -> bytes:
    return prepared.read(SQL / f"{name}.sql")
