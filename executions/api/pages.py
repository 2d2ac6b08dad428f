"""Pages in the order in which things began; those of firings with as many as fit into a process, as each may hold megabytes."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from django.db.models import F, Func, IntegerField
from rest_framework.request import Request

from agentplatform.lib.paging import PagesById

#: Of one page, as it is stored; in memory, what can be compressed is larger.
PAGE_BYTES = 4 * 1024 * 1024


class OldestFirst(PagesById):
    """Pages by id, in the order in which things began."""

    ordering = "id"


class PagesOfValues(OldestFirst):
    """Pages of rows that hold values, which end early where these are large: with one row at the least."""

    #: What is looked at, by the names under which it is read.
    values_in = ("own_inputs", "own_outputs")

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return the rows of the page that is asked for. How large they are is looked at before any of them is read."""
        sizes = {
            f"{name}_bytes": Func(F(name), function="pg_column_size", output_field=IntegerField())
            for name in self.values_in
        }
        found: list[Any] = list(
            super().paginate_queryset(queryset.annotate(**sizes).values("id", *sizes), request, view) or ()
        )
        self.page = found
        self._cut(found)
        rows = queryset.in_bulk([one["id"] for one in self.page])
        return [rows[one["id"]] for one in self.page if one["id"] in rows]

    def _cut(self, found: list[Any]) -> None:
        """Let the page end, or begin where it is read backwards, before it is too large."""
        is_reversed = self.cursor is not None and self.cursor.reverse
        in_turn = found[::-1] if is_reversed else found
        # Of what was taken over from an execution that is removed by now, nothing is left.
        sums = accumulate(sum(one[f"{name}_bytes"] or 0 for name in self.values_in) for one in in_turn)
        count = max(1, sum(size <= PAGE_BYTES for size in sums))
        if count >= len(in_turn):
            return
        following = str(in_turn[count]["id"])
        if is_reversed:
            self.page, self.has_previous, self.previous_position = found[-count:], True, following
        else:
            self.page, self.has_next, self.next_position = found[:count], True, following
