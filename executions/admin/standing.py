"""Where executions stand, at a glance: badges beside the status, and in words what is waited for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest

from executions.admin.shown import LABELS, shown_moment
from executions.engine.status import Status
from executions.engine.waits import WaitKind
from executions.filters import ExecutionFilter
from executions.models import Execution, Wait
from executions.presenting import first_line, show_position

LONGEST_TITLE = 60

#: What is waited for, alone and several times; what needs a person comes first.
ASKED: dict[WaitKind, tuple[str, str]] = {
    WaitKind.DECISION: ("a decision", "decisions"),
    WaitKind.APPROVAL: ("an approval", "approvals"),
    WaitKind.EVENT: ("the event", "events"),
    WaitKind.TIMER: ("a timer", "timers"),
    WaitKind.CHILD: ("a sub-graph", "sub-graphs"),
}


@dataclass(frozen=True, slots=True)
class Awaited:
    """The open waits of one kind of one execution."""

    kind: WaitKind
    count: int
    #: Of the first of them.
    title: str
    event: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What an operator must see without opening anything."""

    #: Text and colour, the status first.
    badges: tuple[tuple[str, str], ...]
    told: str = ""


class StandingFilter(admin.SimpleListFilter):
    """By what somebody has to do about it, or what it waits for."""

    title = "needs"
    parameter_name = "needs"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("decision", "A decision"),
            ("approval", "An approval"),
            ("event", "An event"),
            ("timer", "A timer to end"),
            ("resume", "To be resumed"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        return found(queryset, needs=self.value())


def found(executions: QuerySet[Execution], **asked: Any) -> QuerySet[Execution]:
    """Return those that the API would find by the same filter; by a value it does not take, all of them."""
    asking = ExecutionFilter({name: value for name, value in asked.items() if value is not None}, executions)
    return asking.qs if asking.is_valid() else executions


def awaited_by(executions: Iterable[Execution]) -> dict[UUID, list[Awaited]]:
    """Return what each of them waits for, counted by the database: one may have thousands of waits."""
    going = [execution.pk for execution in executions if execution.status in (Status.RUNNING, Status.WAITING)]
    if not going:
        return {}
    rows = Wait.objects.filter(execution_id__in=going).open().order_by().values("execution_id", "kind")
    found: dict[UUID, list[Awaited]] = defaultdict(list)
    for row in rows.annotate(count=Count("pk"), title=Min("title"), event=Min("event"), due_at=Min("due_at")):
        awaited = Awaited(WaitKind(row["kind"]), row["count"], row["title"], row["event"], row["due_at"])
        found[row["execution_id"]].append(awaited)
    order = list(ASKED)
    return {pk: sorted(awaited, key=lambda one: order.index(one.kind)) for pk, awaited in found.items()}


def standing(execution: Execution, awaited: Sequence[Awaited], *, position: int | None = None) -> Standing:
    """Return where an execution stands."""
    badges = [(str(execution.status), LABELS[execution.status])]
    if execution.is_final:
        return Standing(tuple(badges), execution.error_code)
    if execution.is_paused:
        badges.append(("paused", "warning"))
    if any(one.kind is WaitKind.DECISION for one in awaited):
        badges.append(("needs decision", "danger"))
    return Standing(tuple(badges), _told(execution, awaited, position))


def standings(executions: Sequence[Execution], positions: Mapping[UUID, int]) -> dict[UUID, Standing]:
    """Return where each of a page of executions stands."""
    awaited = awaited_by(executions)
    return {one.pk: standing(one, awaited.get(one.pk, ()), position=positions.get(one.pk)) for one in executions}


def _told(execution: Execution, awaited: Sequence[Awaited], position: int | None) -> str:
    if execution.status == Status.CANCELLING:
        return "What still runs is being stopped"
    if execution.is_paused:
        return "Begins nothing more until it is resumed"
    if execution.status == Status.QUEUED:
        return f"Is {show_position(position)}" if position else "Sent, not begun"
    if awaited:
        return f"Waits for {' and '.join(map(_asked, awaited))}"
    if execution.status == Status.WAITING:
        return "Waits for its next attempt"
    return "A node has failed; what runs may finish" if execution.is_stopping else ""


def _asked(awaited: Awaited) -> str:
    one, several = ASKED[awaited.kind]
    due = shown_moment(awaited.due_at)
    if awaited.count > 1:
        return f"{awaited.count:,} {several}" + (f", the first until {due}" if due else "")
    if awaited.kind is WaitKind.EVENT:
        named = f"{one} {first_line([awaited.event], length=LONGEST_TITLE)}"
    else:
        named = f"{one}: {first_line([awaited.title], length=LONGEST_TITLE)}" if awaited.title else one
    return named + (f", until {due}" if due else "")
