"""What both windows share: nothing can be changed, statuses have colours, long values are cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Func, Prefetch, QuerySet, TextField
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.timezone import localtime
from unfold.paginator import InfinitePaginator

from agentplatform.lib.named_list import NamedList
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitStatus
from executions.models.wait import FOR_PEOPLE
from executions.presenting import pretty

#: The colour of a badge, by what it means to somebody who skims the list.
LABELS: dict[str, str] = {
    Status.QUEUED: "default",
    Status.RUNNING: "info",
    Status.WAITING: "warning",
    Status.CANCELLING: "warning",
    Status.SUCCEEDED: "success",
    Status.FAILED: "danger",
    Status.CANCELLED: "warning",
    Status.BUDGET_EXCEEDED: "danger",
    NodeStatus.PENDING: "default",
    NodeStatus.SKIPPED: "default",
    NodeStatus.INCOMPLETE: "warning",
    WaitStatus.OPEN: "warning",
    WaitStatus.ANSWERED: "success",
    WaitStatus.TIMED_OUT: "danger",
}

LONGEST_SHOWN = 20_000


class WindowAdmin(NamedList):
    """A list and a page to look at, over tables too large to be counted."""

    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50
    ordering = ["-id"]
    list_fullwidth = True
    #: Read after the page. In one statement with it, wrong statistics of a small table can let the planner read a large one whole.
    list_prefetch_related: Sequence[str | Prefetch[Any, Any, Any]] = ()
    list_select_related: bool | Sequence[str] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related(*self.list_prefetch_related)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A named value as text, cut where it is too long for a page."""

    name: str
    text: str
    left_out: int = 0


def shown_values(values: Mapping[str, Any]) -> list[ShownValue]:
    """Return the values as they are shown on a page."""
    return [_shown(name, pretty(value)) for name, value in values.items()]


def _shown(name: str, text: str) -> ShownValue:
    return ShownValue(name, text[:LONGEST_SHOWN], max(0, len(text) - LONGEST_SHOWN))


class FirstOutput(Func):
    """The beginning of one value in a column of outputs, a text if there is one; cut in the database: it may have megabytes."""

    template = (
        "CASE WHEN pg_column_size(%(expressions)s) < 100000 THEN left(("
        "SELECT value #>> '{0}' FROM jsonb_each(%(expressions)s) "
        "ORDER BY jsonb_typeof(value #> '{0}') IS DISTINCT FROM 'string', key LIMIT 1"
        "), 300) ELSE '(a large value)' END"
    )
    output_field = TextField()


def as_id(text: str) -> UUID | None:
    """Return the id that a search is for, if it is one."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None


def linked_execution(execution_id: UUID | None) -> str:
    """Return a link to an execution, by the beginning of its id; nothing for None."""
    if execution_id is None:
        return ""
    at = reverse("admin:executions_execution_change", args=[execution_id])
    return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', at, str(execution_id)[:8])


def who_answers(wait: Any) -> str:
    """Return who may answer a wait that was read with its names; nobody does where it comes by itself."""
    if wait.kind not in FOR_PEOPLE:
        return ""
    return ", ".join([*wait.user_names, *wait.group_names]) or f"{wait.owner} (the owner)"


def shown_moment(moment: datetime | None) -> str:
    """Return a moment as the lists show it, to the second; nothing for None."""
    return f"{localtime(moment):%-d %b %Y, %H:%M:%S}" if moment else ""
