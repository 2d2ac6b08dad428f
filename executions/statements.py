"""Run the hot statements: one file each in sql/, with a comment on what makes it safe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from django.db.backends.utils import CursorWrapper
from pydantic_core import to_json

SQL = Path(__file__).parent / "sql"


def run(cursor: CursorWrapper, name: str, **values: Any) -> None:
    """Execute the statement in `sql/<name>.sql` with these values."""
    cursor.execute(_statement(name), values)


def records(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as the one JSON value that `jsonb_to_recordset` takes apart."""
    return to_json(rows).decode()


@cache
def _statement(name: str) -> str:
    lines = (SQL / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("--"))
