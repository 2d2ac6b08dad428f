"""Replace the key that secrets are kept under: row by row, so that it may be stopped and go on later, while everything runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.apps import apps
from django.db import connection, models

from agentplatform.lib import crypto
from agentplatform.lib.crypto import KeyLost, SealedField


@dataclass(slots=True)
class Rotation:
    """What came of it."""

    rotated: int = 0
    current: int = 0
    #: Rows that no key reads, as `table:id`.
    lost: list[str] = field(default_factory=list)


def rotate(*, dry_run: bool = False) -> Rotation:
    """Encrypt every sealed column of every table again that is not under the newest key.

    Raises:
        KeysMissing: there are no keys.
    """
    found = Rotation()
    for model in apps.get_models():
        for column in model._meta.local_fields:
            if isinstance(column, SealedField):
                _rotate_column(model, str(column.column), found, dry_run=dry_run)
    return found


def _rotate_column(model: type[models.Model], column: str, found: Rotation, *, dry_run: bool) -> None:
    table = connection.ops.quote_name(model._meta.db_table)
    name = connection.ops.quote_name(column)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, {name} FROM {table} WHERE {name} IS NOT NULL ORDER BY id")  # noqa: S608 - names of our own
        rows = cursor.fetchall()
        for id_, text in rows:
            if crypto.is_newest(text):
                found.current += 1
                continue
            try:
                anew = crypto.rotate(text)
            except KeyLost:
                found.lost.append(f"{model._meta.db_table}:{id_}")
                continue
            found.rotated += 1
            if not dry_run:
                # Only what is still there: somebody may have written a new secret meanwhile.
                cursor.execute(f"UPDATE {table} SET {name} = %s WHERE id = %s AND {name} = %s", [anew, id_, text])  # noqa: S608
