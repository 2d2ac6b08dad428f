"""What was used, added up from the ledger: it outlives the executions themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Count, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from agentplatform.lib.clock import now
from executions.engine.money import USED
from executions.models import LedgerEntry

#: The longest span of a report, and the most rows of one.
LONGEST = timedelta(days=366)
MOST_ROWS = 1_000


class By(StrEnum):
    """What costs are added up by."""

    DAY = "day"
    GRAPH = "graph"
    NODE = "node"
    #: Outermost executions, with their sub-graphs.
    EXECUTION = "execution"


COLUMNS: Mapping[By, tuple[str, ...]] = {
    By.DAY: ("day",),
    By.GRAPH: ("graph_id",),
    By.NODE: ("graph_id", "node_key"),
    By.EXECUTION: ("root_id", "graph_id"),
}


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, the end left out."""

    since: datetime
    until: datetime

    @classmethod
    def of(cls, since: datetime | None = None, until: datetime | None = None) -> Span:
        """Return the span that is asked for, the last thirty days without a wish; a span that is too long ends where it says."""
        until = until or now()
        return cls(max(since or until - timedelta(days=30), until - LONGEST), until)


def used(
    by: By, span: Span, *, owner_id: int | None = None, graph_id: UUID | None = None, limit: int = MOST_ROWS
) -> list[dict[str, Any]]:
    """Return what was used in a span, by one of its owner or by everybody: days in order, all else the dearest first.

    Each row has the columns of `by`, `microcredits` and `charges`: how many entries of the ledger it is the sum of.
    """
    entries = LedgerEntry.objects.filter(
        kind__in=[kind.value for kind in USED], created_at__gte=span.since, created_at__lt=span.until
    )
    if owner_id is not None:
        entries = entries.filter(owner_id=owner_id)
    if graph_id is not None:
        entries = entries.filter(graph_id=graph_id)
    if by is By.EXECUTION:
        entries = entries.filter(root_id__isnull=False)
    day = TruncDate("created_at", tzinfo=timezone.get_fixed_timezone(0))
    groups = entries.annotate(day=day).order_by().values(*COLUMNS[by])
    rows = groups.annotate(microcredits=Sum("amount_microcredits"), charges=Count("*"))
    return list(rows.order_by(*(("day",) if by is By.DAY else ("-microcredits", *COLUMNS[by])))[:limit])
