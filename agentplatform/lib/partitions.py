"""Tables partitioned by month on a version 7 id: a month is dropped in one statement, and no time column is dragged along."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.utils import CursorWrapper
from django.db.migrations.operations import CreateModel
from django.db.migrations.state import ProjectState

from agentplatform.lib.ids import first_id_at


class CreatePartitionedModel(CreateModel):
    """Create a model's table partitioned by range on the column `key`.

    Where the primary key is another `id`, PostgreSQL allows none that is unique across partitions: the table gets a plain index on it, and
    a unique constraint of the model that begins with `key` is its real key. A composite primary key has to begin with `key`.
    """

    def __init__(self, name: str, fields: Any, key: str, **rest: Any) -> None:
        self.key = key
        super().__init__(name, fields, **rest)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Return the operation as a migration writes it."""
        name, args, kwargs = super().deconstruct()
        return name, list(args), {**kwargs, "key": self.key}

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Create the table with a default partition, so that no row is ever refused."""
        model = to_state.apps.get_model(app_label, self.name)
        table, key = model._meta.db_table, model._meta.get_field(self.key).column
        sql, params = schema_editor.table_sql(model)
        own_key = model._meta.pk_fields[0].column == key
        if not own_key:
            sql = sql.replace("uuid NOT NULL PRIMARY KEY", "uuid NOT NULL", 1)
        schema_editor.execute(f'{sql} PARTITION BY RANGE ("{key}")', params or None)
        schema_editor.execute(f'CREATE TABLE "{table}_default" PARTITION OF "{table}" DEFAULT')
        if not own_key:
            schema_editor.execute(f'CREATE INDEX "{table}_by_id" ON "{table}" ("id")')


def ensure_months(cursor: CursorWrapper, table: str, *, key: str, start: datetime, count: int) -> list[str]:
    """Create the partitions of `count` months from that of `start` on, where they are missing. Return the new ones.

    Rows of such a month that had to go to the default partition move into it. Needs a transaction.
    """
    created = []
    for first, following in _months(start, count):
        name = f"{table}_{first:%Y_%m}"
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone()[0] is None:
            _create(cursor, table, key, name, [first_id_at(first), first_id_at(following)])
            created.append(name)
    return created


def _create(cursor: CursorWrapper, table: str, key: str, name: str, bounds: list[UUID]) -> None:
    # Attached only once it is filled: while rows of the month lie in the default partition, the month can not exist beside it.
    cursor.execute(f'CREATE TABLE "{name}" (LIKE "{table}" INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)')
    cursor.execute(
        f'WITH moved AS (DELETE FROM "{table}_default" WHERE "{key}" >= %s AND "{key}" < %s RETURNING *)'  # noqa: S608 - our own names
        f' INSERT INTO "{name}" SELECT * FROM moved',
        bounds,
    )
    cursor.execute(f'ALTER TABLE "{table}" ATTACH PARTITION "{name}" FOR VALUES FROM (%s) TO (%s)', bounds)


def _months(start: datetime, count: int) -> Iterator[tuple[datetime, datetime]]:
    for offset in range(count):
        yield _month(start, offset), _month(start, offset + 1)


def _month(start: datetime, offset: int) -> datetime:
    years, month = divmod(start.month - 1 + offset, 12)
    return datetime(start.year + years, month + 1, 1, tzinfo=UTC)
