"""Run the hot statements: one file each in sql/, with a comment on what makes it safe.

They are prepared on each connection: planning them anew, over all partitions, would cost more than running them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection
from pydantic_core import to_json

SQL = Path(__file__).parent / "sql"

Cursor = psycopg.Cursor[tuple[Any, ...]]


@contextmanager
def cursor() -> Iterator[Cursor]:
    """Open a cursor on Django's connection, in its transaction if there is one, that binds values on the server."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as opened:
        yield opened


def run(cursor: Cursor, name: str, **values: Any) -> None:
    """Execute the statement in `sql/<name>.sql` with these values."""
    cursor.execute(_statement(name), values, prepare=True)


class Together:
    """Statements sent without waiting for each other: their results, and their errors, are there after `sync`."""

    def __init__(self, pipeline: psycopg.Pipeline, stack: ExitStack) -> None:
        self._pipeline = pipeline
        self._stack = stack

    def __call__(self, name: str, **values: Any) -> Cursor:
        """Send a statement. Return the cursor that will hold its result."""
        opened = self._stack.enter_context(psycopg.Cursor(connection.connection))
        run(opened, name, **values)
        return opened

    def sync(self) -> None:
        """Wait for all results."""
        self._pipeline.sync()


@contextmanager
def together() -> Iterator[Together]:
    """Open a pipeline on Django's connection: many statements in one visit to the database."""
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline() as pipeline, ExitStack() as stack:
        yield Together(pipeline, stack)


def records(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as the one JSON value that `jsonb_to_recordset` takes apart."""
    return to_json(rows).decode()


@cache
def _statement(name: str) -> bytes:
    lines = (SQL / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("--")).encode()
