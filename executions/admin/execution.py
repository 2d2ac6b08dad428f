"""The console's window onto executions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.views import ChangeList

from agentplatform.lib.clock import now
from agentplatform.lib.money import show
from executions import admission
from executions.admin.levers import offered
from executions.admin.lineage import lineage
from executions.admin.retry_page import RetryPage
from executions.admin.shown import LABELS, FirstOutput, as_id, shown_moment, shown_values
from executions.admin.standing import StandingFilter, awaited_by, found, standing, standings
from executions.admin.waited import wait_rows
from executions.engine.status import NodeStatus
from executions.models import Execution, NodeExecution, Wait
from executions.presenting import elapsed, first_line, show_duration, show_tokens
from executions.triggers import started_by
from graphs.models import Graph, Node

NODES_SHOWN, WAITS_SHOWN = 200, 20
#: Of graphs and of owners that fit a search.
MOST_FOUND = 1000
#: What a list shows that a page of one execution leads to.
RELATED = {
    "parent_id__exact": "Sub-graphs of one execution",
    "retried_from_id__exact": "What went on from one execution",
    "file": "Executions that use one file",
}


class CreatedFilter(admin.SimpleListFilter):
    """By age, which the id tells: only the partitions of these months are read."""

    title = "created"
    parameter_name = "created"
    spans = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1h", "In the last hour"), ("24h", "In 24 hours"), ("7d", "In 7 days"), ("30d", "In 30 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        span = self.spans.get(self.value() or "")
        return found(queryset, created_after=(now() - span).isoformat()) if span else queryset


class FileFilter(admin.SimpleListFilter):
    """By a file, to whose page this belongs: offered only where one is named."""

    title = "file"
    parameter_name = "file"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        named = request.GET.get("file")
        return [(named, "One file")] if named else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        return found(queryset, file=self.value())


class ExecutionList(ChangeList):
    """A page of executions, each with what it waits for."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        page = list(cast(Any, self).result_list)
        told = standings(page, admission.positions(page))
        for execution in page:
            execution.standing = told[execution.pk]
        self.result_list = page


@admin.register(Execution)
class ExecutionAdmin(RetryPage):
    """Executions of everybody, newest first."""

    list_display = ["what", "shown_status", "owner", "shown_created", "shown_duration", "tokens", "cost"]
    list_display_links = ["what"]
    list_filter = ["status", StandingFilter, CreatedFilter, FileFilter]
    list_prefetch_related = ("version__graph", "owner")
    search_fields = ["graph__name"]
    search_help_text = "Id, graph or owner"
    sortable_by = ["shown_created"]
    fields = ["id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        # A value may have megabytes: only the page that shows it reads it.
        return super().get_queryset(request).defer("inputs", "outputs")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ExecutionList]:
        return ExecutionList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Execution], search_term: str
    ) -> tuple[QuerySet[Execution], bool]:
        if id_ := as_id(search_term):
            return queryset.filter(Q(pk=id_) | Q(graph_id=id_)), False
        if term := search_term.strip():
            # Found first: joined to the executions, both tables would be compared row by row.
            graphs = list(Graph.objects.filter(name__icontains=term).values_list("pk", flat=True)[:MOST_FOUND])
            users = get_user_model()._default_manager.filter(username__icontains=term)
            owners = list(users.values_list("pk", flat=True)[:MOST_FOUND])
            return queryset.filter(Q(graph_id__in=graphs) | Q(owner_id__in=owners)), False
        return queryset, False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        titles = [title for name, title in RELATED.items() if name in request.GET]
        return super().changelist_view(request, {**({"title": titles[0]} if titles else {}), **(extra_context or {})})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        execution: Execution = context["original"]
        may_operate = self.has_operate_permission(request)
        awaited = awaited_by([execution]).get(execution.pk, [])
        open_waits = Wait.objects.filter(execution_id=execution.pk).open()
        waits = wait_rows(request, open_waits, limit=WAITS_SHOWN) if awaited else []
        context |= {
            "title": str(execution.version),
            "subtitle": None,
            "execution": execution,
            "standing": standing(execution, awaited, position=admission.position(execution)),
            "levers": offered(execution) if may_operate else [],
            "may_retry": may_operate and execution.is_final,
            "duration": self.shown_duration(execution) or "not started",
            "tokens": self.tokens(execution) or "none",
            "cost": show(execution.cost_microcredits),
            "inputs": shown_values(execution.inputs),
            "outputs": shown_values(execution.outputs),
            "waits": waits,
            "to_answer": next((row["wait"] for row in waits if row["may_answer"]), None),
            "started_by": started_by(execution.pk),
            **lineage(execution),
            **_nodes(execution),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="Execution")
    def what(self, execution: Execution) -> str:
        return str(execution.version)

    @display(description="Status")
    def shown_status(self, execution: Any) -> SafeString:
        return render_to_string("admin/executions/standing.html", {"standing": execution.standing, "is_cell": True})

    @display(description="Created", ordering="id")
    def shown_created(self, execution: Execution) -> str:
        return shown_moment(execution.created_at)

    @display(description="Duration", empty_value="")
    def shown_duration(self, execution: Execution) -> str:
        return show_duration(elapsed(execution.started_at, execution.ended_at, at=now()))

    @display(description="Tokens", empty_value="")
    def tokens(self, execution: Execution) -> str:
        return show_tokens({"input_tokens": execution.input_tokens, "output_tokens": execution.output_tokens})

    @display(description="Cost")
    def cost(self, execution: Execution) -> str:
        return show(execution.cost_microcredits)


def _nodes(execution: Execution) -> dict[str, Any]:
    """Return the rows of the table of node executions, in the order in which they began."""
    titles = dict(Node.objects.filter(version_id=execution.version_id).values_list("key", "title"))
    firings = NodeExecution.objects.filter(execution_id=execution.pk).annotate(preview=FirstOutput("outputs"))
    found = list(firings.defer("inputs", "outputs").order_by("id")[: NODES_SHOWN + 1])
    return {
        "node_count": f"{NODES_SHOWN:,} and more" if len(found) > NODES_SHOWN else len(found),
        "nodes": [_row(execution, firing, titles) for firing in found[:NODES_SHOWN]],
        "has_more_nodes": len(found) > NODES_SHOWN,
    }


def _row(execution: Execution, firing: Any, titles: dict[str, str]) -> dict[str, Any]:
    began = elapsed(execution.created_at, firing.started_at, at=now()) if firing.started_at else None
    return {
        "firing": firing,
        "title": titles.get(firing.node_key) or firing.node_key,
        "label": LABELS[firing.status],
        "began": show_duration(began),
        "duration": show_duration(elapsed(firing.started_at, firing.ended_at, at=now())),
        "tokens": show_tokens(firing.usage),
        "cost": show(firing.cost_microcredits) if firing.cost_microcredits else "",
        "told": _plan(firing) or first_line([firing.error_message or firing.preview or _missing(firing)]),
    }


def _plan(firing: NodeExecution) -> str:
    """Return when a firing is begun again, or where one was taken over from."""
    if firing.status == NodeStatus.PENDING and firing.due_at:
        return f"Begins again at {shown_moment(firing.due_at)}"
    return "Taken over from an earlier execution" if firing.origin_id else ""


def _missing(firing: NodeExecution) -> str:
    return f"Nothing came to meet it on: {', '.join(firing.missing_pins)}" if firing.missing_pins else ""
