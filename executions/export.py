"""Entries of the ledger as CSV, line by line: however many there are, one page of them is in memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

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
        lines(entries),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="ledger.csv"'},
    )


def lines(entries: LedgerEntryQuerySet) -> Iterator[str]:
    """Yield the header, then a line for each entry, the newest first."""
    writer = csv.writer(_Echo())
    yield writer.writerow(HEADER)
    page = list(_after(entries, None))
    while page:
        for entry in page:
            yield writer.writerow([safe(value) for value in _cells(entry)])
        page = list(_after(entries, page[-1].pk))


def safe(value: Any) -> str:
    """Return a cell that no spreadsheet computes: what it could take for a formula has an apostrophe before it."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def _after(entries: LedgerEntryQuerySet, last: int | None) -> LedgerEntryQuerySet:
    # A page is a statement of its own: nothing stays open in the database while somebody reads slowly.
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
