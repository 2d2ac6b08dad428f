"""What belongs to no app: the console's first page and its sidebar."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.templatetags.static import static
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.timesince import timesince

from agentplatform.lib.clock import now
from agentplatform.lib.money import show
from executions.admin.shown import LABELS
from executions.engine.status import Status
from executions.models import Wait
from executions.presenting import elapsed, show_duration
from executions.summary import Summary, summarize

SUMMARY_SPAN = timedelta(hours=24)
MOST_COUNTED = 99

# Icon, and the model whose list it is: a page is called what its model is called.
NAVIGATION = {
    "": [
        ("play_circle", "executions.execution"),
        ("adjust", "executions.nodeexecution"),
        ("hourglass_top", "executions.wait"),
        ("draft", "files.file"),
    ],
    "Graphs": [
        ("account_tree", "graphs.graph"),
        ("history", "graphs.graphversion"),
        ("widgets", "graphs.node"),
    ],
    "Triggers": [
        ("schedule", "executions.schedule"),
        ("event_available", "executions.fire"),
        ("webhook", "executions.webhook"),
        ("move_to_inbox", "executions.delivery"),
    ],
    "Telling others": [
        ("campaign", "executions.subscription"),
        ("outbox", "executions.outgoingdelivery"),
    ],
    "Money": [
        ("account_balance_wallet", "executions.account"),
        ("receipt_long", "executions.ledgerentry"),
        ("savings", "executions.budget"),
        ("sell", "executions.tokenprice"),
    ],
    "Access": [
        ("person", "auth.user"),
        ("group", "auth.group"),
        ("key", "access.apikey"),
        ("vpn_key", "integrations.credential"),
    ],
}


def environment(request: HttpRequest) -> list[str] | None:
    """Return the badge of the console's header: nothing in production."""
    return ["Development", "info"] if settings.IS_DEVELOPMENT else None


def icon(request: HttpRequest) -> str:
    """Return the address of the icon that a browser shows beside the title."""
    return static("console/icon.svg")


def send_icon(request: HttpRequest) -> HttpResponseRedirect:
    """Lead to the icon whoever looks for it where browsers look by themselves."""
    return HttpResponseRedirect(icon(request))


def script(request: HttpRequest) -> str:
    """Return the address of what the console's own forms need; no script stands in a page."""
    return static("console/console.js")


def style(request: HttpRequest) -> str:
    """Return the address of what unfold's styles lack."""
    return static("console/console.css")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar: the pages that this user may see."""
    groups: list[dict[str, Any]] = [
        {
            "title": title,
            "separator": bool(title),
            "items": [_link(request, *page) for page in pages if _may_see(request, page[1])],
        }
        for title, pages in NAVIGATION.items()
    ]
    groups[0]["items"].insert(0, {"title": "Overview", "icon": "space_dashboard", "link": reverse("admin:index")})
    groups[-1]["items"].append({"title": "API documentation", "icon": "api", "link": reverse("docs")})
    return [group for group in groups if group["items"]]


def _link(request: HttpRequest, icon: str, model: str) -> dict[str, Any]:
    title = capfirst(apps.get_model(model)._meta.verbose_name_plural)
    link = {"title": title, "icon": icon, "link": reverse(f"admin:{model.replace('.', '_')}_changelist")}
    return link | {"badge": _questions(request), "badge_variant": "warning"} if model == "executions.wait" else link


def _may_see(request: HttpRequest, model: str) -> bool:
    return admin.site.get_model_admin(apps.get_model(model)).has_view_permission(request)


def _questions(request: HttpRequest) -> str:
    """Return how many open waits this user may answer; nothing if there are none."""
    count = Wait.objects.open().answerable_by(request.user)[: MOST_COUNTED + 1].count()
    return f"{MOST_COUNTED}+" if count > MOST_COUNTED else str(count or "")


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the numbers of the first page, for those who may see executions at all."""
    if request.user.has_perm("executions.view_execution"):
        context |= {"summary": _numbers(summarize(since=now() - SUMMARY_SPAN))}
    return context


def _numbers(summary: Summary) -> dict[str, Any]:
    return {
        "total": summary.total,
        "by_status": [
            (status, summary.counts[status], LABELS[status]) for status in Status if status in summary.counts
        ],
        "running": summary.running,
        "queued": summary.queued,
        "in_line": summary.in_line,
        "to_answer": summary.to_answer,
        "cost": show(summary.cost_microcredits),
        "failed": summary.counts.get(Status.FAILED, 0) + summary.counts.get(Status.BUDGET_EXCEEDED, 0),
        "latest": [
            {
                "execution": execution,
                "label": LABELS[execution.status],
                "age": _age(execution.created_at),
                "duration": show_duration(elapsed(execution.started_at, execution.ended_at, at=now())),
                "cost": show(execution.cost_microcredits),
            }
            for execution in summary.latest
        ],
    }


def _age(moment: datetime) -> str:
    return "just now" if now() - moment < timedelta(minutes=1) else f"{timesince(moment)} ago"
