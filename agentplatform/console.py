"""What belongs to no app: the console's first page, and whether the process is well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.http import HttpRequest, JsonResponse

from agentplatform.lib.clock import now
from agentplatform.lib.money import show
from executions.admin.shown import LABELS
from executions.engine.status import Status
from executions.presenting import elapsed, show_duration
from executions.summary import Summary, summarize

SUMMARY_SPAN = timedelta(hours=24)


def alive(request: HttpRequest) -> JsonResponse:
    """Answer that the process serves requests; asks nobody else, so that a database outage restarts no web process."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """Answer whether requests can be served now, that is, whether Postgres answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except OperationalError:
        return JsonResponse({"status": "unavailable", "database": "unreachable"}, status=503)
    return JsonResponse({"status": "ok"})


def environment(request: HttpRequest) -> list[str] | None:
    """Return the badge of the console's header: nothing in production."""
    return ["Development", "info"] if settings.IS_DEVELOPMENT else None


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the numbers of the first page, for those who may see executions at all."""
    if request.user.has_perm("executions.view_execution"):
        context |= {"summary": _numbers(summarize(since=now() - SUMMARY_SPAN))}
    return context


def _numbers(summary: Summary) -> dict[str, Any]:
    return {
        "total": summary.total,
        "by_status": [(status, summary.counts[status], LABELS[status]) for status in Status if status in summary.counts],
        "running": summary.running,
        "queued": summary.queued,
        "cost": show(summary.cost_microcredits),
        "failed": summary.counts.get(Status.FAILED, 0) + summary.counts.get(Status.BUDGET_EXCEEDED, 0),
        "latest": [
            {
                "execution": execution,
                "label": LABELS[execution.status],
                "duration": show_duration(elapsed(execution.started_at, execution.ended_at, at=now())),
                "cost": show(execution.cost_microcredits),
            }
            for execution in summary.latest
        ],
    }
