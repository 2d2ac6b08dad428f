"""Look for stored secrets in the open: everything that is sealed anywhere, in every text of every table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from django.apps import apps
from django.db import connection

from agentplatform.lib.crypto import KeyLost, KeysMissing, SealedField
from agentplatform.lib.masking import Mask
from integrations.masks import secrets_in

Run = Callable[[str, dict[str, Any]], psycopg.Cursor[tuple[Any, ...]]]

SENTENCE = "What a credential holds stands nowhere else, in none of the forms that are masked."
#: What is shorter may stand in any text by chance.
SHORTEST = 10
ROWS_AT_ONCE = 1_000
COLUMNS = """
SELECT c.relname, a.attname, a.attnum = ANY (coalesce(i.indkey::int2[], '{}')), format_type(a.atttypid, NULL)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname, a.attnum
"""
TEXTS = frozenset({"text", "character varying", "character", "json", "jsonb", "text[]", "character varying[]", "bytea"})


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    keys: tuple[str, ...]
    texts: tuple[str, ...]
    #: The column by which its months are told, if it has some.
    born: str


def found_in_the_open(run: Run, values: dict[str, Any]) -> Iterator[str]:
    """Yield `table:key:column` of everything in which a stored secret can be read."""
    mask = Mask(secret for secret in _secrets() if len(secret) >= SHORTEST)
    if mask.is_empty:
        return
    sealed = {(model._meta.db_table, field.column) for model in apps.get_models() for field in _sealed_fields(model)}
    for table in _tables(run, sealed):
        yield from _found_in(table, mask, run, values)


def _found_in(table: _Table, mask: Mask, run: Run, values: dict[str, Any]) -> Iterator[str]:
    quoted = connection.ops.quote_name
    key = "concat_ws(':', " + ", ".join(quoted(name) for name in table.keys or table.texts[:1]) + ")"
    columns = ", ".join(f"{quoted(name)}::text" for name in table.texts)
    only = f" WHERE {quoted(table.born)} >= %(since)s" if table.born else ""
    # Row by row as they come: a table may be larger than this process.
    run(f"DECLARE sweep NO SCROLL CURSOR FOR SELECT {key}, {columns} FROM {quoted(table.name)}{only}", values)  # noqa: S608
    while rows := run(f"FETCH {ROWS_AT_ONCE} FROM sweep", {}).fetchall():
        for id_, *texts in rows:
            for name, text in zip(table.texts, texts, strict=True):
                if text and mask.is_in(text):
                    yield f"{table.name}:{id_}:{name}"
    run("CLOSE sweep", {})


def _secrets() -> Iterator[str]:
    for model in apps.get_models():
        for field in _sealed_fields(model):
            for sealed in model._base_manager.values_list(field.name, flat=True):
                try:
                    value = None if sealed is None else sealed.reveal()
                except (KeyLost, KeysMissing):
                    continue  # what nobody can open, nobody can look for
                yield from secrets_in(value) if isinstance(value, dict) else [value] if isinstance(value, str) else []


def _sealed_fields(model: Any) -> list[SealedField]:
    return [field for field in model._meta.local_fields if isinstance(field, SealedField)]


def _tables(run: Run, sealed: set[tuple[str, str | None]]) -> Iterator[_Table]:
    by_name: dict[str, list[tuple[str, bool, str]]] = {}
    for name, column, is_key, kind in run(COLUMNS, {}).fetchall():
        by_name.setdefault(name, []).append((column, is_key, kind))
    for name, columns in by_name.items():
        texts = tuple(column for column, _, kind in columns if kind in TEXTS and (name, column) not in sealed)
        if texts:
            keys = tuple(column for column, is_key, _ in columns if is_key)
            yield _Table(name, keys, texts, _born({column: kind for column, _, kind in columns}, name))


def _born(kinds: dict[str, str], table: str) -> str:
    if kinds.get("execution_id") == "uuid":
        return "execution_id"
    return "id" if table == "executions_execution" else ""
