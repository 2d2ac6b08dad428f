"""Run statements that are prepared once on each connection: where planning them anew, or writing them by the ORM, would cost more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection

Cursor = psycopg.Cursor[tuple[Any, ...]]


@contextmanager
def cursor() -> Iterator[Cursor]:
    """Open a cursor on Django's connection, in its transaction if there is one, that binds values on the server."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as opened:
        yield opened


def read(path: Path) -> bytes:
    """Return the statement in a file, without its comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("--")).encode()
