"""Entries of the ledger as CSV, page by page: however many there are, one page of them is in memory."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import StreamingHttpResponse

from agentplatform.lib.money import MICROCREDITS_PER_CREDIT
from executions.models import LedgerEntry, LedgerEntryQuerySet

HEADER = (
    "id",
    "time",
    "kind",
    "from",
    "to",
    "usd",
    "microcredits",
    "owner",
    "execution",
    "outermost_execution",
    "graph",
    "node",
    "item",
    "attempt",
    "key",
    "note",
)
PAGE = 1_000
#: What makes a spreadsheet take a cell for a formula, also behind what it skips.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_download(entries: LedgerEntryQuerySet) -> StreamingHttpResponse:
    """Return entries as a file, which is made while it is read."""
    return StreamingHttpResponse(
        _lines(entries),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="ledger.csv"'},
    )


async def _lines(entries: LedgerEntryQuerySet) -> AsyncIterator[str]:
    """Yield the header, then the lines of one page after the other, the newest entries first."""
    yield csv.writer(_Echo()).writerow(HEADER)
    last: int | None = None
    while True:
        # Each page on the thread of the request, whose connection is given back: a slow reader holds none.
        page, last = await sync_to_async(_page)(entries, last)
        if not page:
            return
        yield page


def _page(entries: LedgerEntryQuerySet, last: int | None) -> tuple[str, int | None]:
    """Return the lines of the entries after one, or of the first ones, and which the last of them is."""
    try:
        page = list(_after(entries, last))
    finally:
        if not connection.in_atomic_block:
            connection.close()
    writer = csv.writer(_Echo())
    lines = [writer.writerow([safe(value) for value in _cells(entry)]) for entry in page]
    return "".join(lines), page[-1].pk if page else None


def safe(value: Any) -> str:
    """Return a cell that no spreadsheet computes: what it could take for a formula has an apostrophe before it."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def _after(entries: LedgerEntryQuerySet, last: int | None) -> LedgerEntryQuerySet:
    older = entries if last is None else entries.filter(pk__lt=last)
    return older.prefetch_related("owner", "debit", "credit").order_by("-id")[:PAGE]


def _cells(entry: LedgerEntry) -> tuple[Any, ...]:
    whole, rest = divmod(entry.amount_microcredits, MICROCREDITS_PER_CREDIT)
    return (
        entry.pk,
        entry.created_at.isoformat(),
        entry.kind,
        entry.debit.kind,
        entry.credit.kind,
        f"{whole}.{rest:06d}",
        entry.amount_microcredits,
        entry.owner.get_username(),
        entry.execution_id,
        entry.root_id,
        entry.graph_id,
        entry.node_key,
        entry.shown_path,
        entry.attempt,
        entry.key,
        entry.note,
    )


class _Echo:
    """Gives each line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line
