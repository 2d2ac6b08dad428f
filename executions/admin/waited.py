"""Waits as the rows of a table, with the way to their answer for whoever may give one."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from executions.admin.shown import who_answers
from executions.engine.waits import WaitKind
from executions.models import Wait, WaitQuerySet
from executions.presenting import show_asked


def wait_rows(request: HttpRequest, waits: WaitQuerySet, *, limit: int) -> list[dict[str, Any]]:
    """Return the first of these waits as they are shown to who asks."""
    found = list(waits.with_names().prefetch_related("owner").defer("form", "data", "answer").order_by("id")[:limit])
    is_open = [wait.pk for wait in found if wait.is_open]
    answerable = set(
        Wait.objects.answerable_by(request.user).filter(pk__in=is_open).values_list("pk", flat=True) if is_open else ()
    )
    return [
        {
            "wait": wait,
            "asked": show_asked(WaitKind(wait.kind), event=wait.event),
            "who": who_answers(wait),
            "may_answer": wait.pk in answerable,
        }
        for wait in found
    ]
