"""The console's window onto node executions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.http import urlencode
from unfold.decorators import display

from agentplatform.lib.clock import now
from agentplatform.lib.money import show
from executions.admin.attempts import attempts_of
from executions.admin.lineage import offspring
from executions.admin.shown import LABELS, WindowAdmin, as_id, shown_moment, shown_values
from executions.admin.waited import wait_rows
from executions.begun import idempotency_key
from executions.engine.status import NodeStatus
from executions.engine.waits import WaitKind
from executions.models import Execution, NodeExecution, Wait, WaitQuerySet
from executions.presenting import elapsed, show_duration, show_tokens
from graphs.models import Node

WAITS_SHOWN = 50


@admin.register(NodeExecution)
class NodeExecutionAdmin(WindowAdmin):
    """Every firing of every node, newest first."""

    list_display = ["what", "shown_status", "graph", "attempt", "shown_start", "shown_duration", "tokens", "cost"]
    list_display_links = ["what"]
    list_filter = ["status"]
    list_prefetch_related = (
        Prefetch("execution", Execution.objects.defer("inputs", "outputs")),
        "execution__version__graph",
    )
    search_fields = ["node_key"]
    search_help_text = "Id, or key of a node"
    sortable_by: list[str] = []
    fields = ["id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[NodeExecution]:
        # A value may have megabytes: only the page that shows it reads it.
        return super().get_queryset(request).defer("inputs", "outputs")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[NodeExecution], search_term: str
    ) -> tuple[QuerySet[NodeExecution], bool]:
        if id_ := as_id(search_term):
            return queryset.filter(Q(pk=id_) | Q(execution_id=id_)), False
        term = search_term.strip()
        return (queryset.filter(node_key=term) if term else queryset), False

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        firing: NodeExecution = context["original"]
        node = Node.objects.filter(version_id=firing.execution.version_id, key=firing.node_key).first()
        origin = _origin(firing)
        ran = origin or firing
        waits = wait_rows(request, _waits(firing), limit=WAITS_SHOWN) if firing.waits else []
        context |= {
            "title": f"{node or firing.node_key} {firing.shown_path}".strip(),
            "subtitle": None,
            "firing": firing,
            "node": node,
            "label": LABELS[firing.status],
            "duration": self.shown_duration(firing) or "not started",
            "tokens": self.tokens(firing) or "none",
            "cost": show(firing.cost_microcredits),
            "inputs": shown_values(ran.inputs),
            "outputs": shown_values({name: _lone(values) for name, values in ran.outputs.items()}),
            "usage": [(name.replace("_", " "), amount) for name, amount in firing.usage.items()],
            "origin": origin,
            "attempts": attempts_of(firing),
            "child_cost": show(firing.child_cost_microcredits) if firing.child_cost_microcredits else "",
            "key": idempotency_key(firing.execution_id, firing.node_key, firing.item_path),
            "is_due": firing.status == NodeStatus.PENDING and firing.due_at,
            "waits": waits,
            "needs_decision": any(row["wait"].is_open and row["wait"].kind == WaitKind.DECISION for row in waits),
            "sub_graphs": offspring(_children(firing)),
            "sub_graph_query": urlencode(
                {"parent_id__exact": str(firing.execution_id), "parent_node__exact": firing.node_key}
            ),
            "may_retry": firing.execution.is_final and request.user.has_perm("executions.change_execution"),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="Node")
    def what(self, firing: NodeExecution) -> str:
        return str(firing)

    @display(description="Status", label=LABELS)
    def shown_status(self, firing: NodeExecution) -> str:
        return firing.status

    @display(description="Execution of")
    def graph(self, firing: NodeExecution) -> str:
        return str(firing.execution.version)

    @display(description="Started", empty_value="")
    def shown_start(self, firing: NodeExecution) -> str:
        return shown_moment(firing.started_at)

    @display(description="Duration", empty_value="")
    def shown_duration(self, firing: NodeExecution) -> str:
        return show_duration(elapsed(firing.started_at, firing.ended_at, at=now()))

    @display(description="Tokens", empty_value="")
    def tokens(self, firing: NodeExecution) -> str:
        return show_tokens(firing.usage)

    @display(description="Cost", empty_value="")
    def cost(self, firing: NodeExecution) -> str:
        return show(firing.cost_microcredits) if firing.cost_microcredits else ""


def _origin(firing: NodeExecution) -> NodeExecution | None:
    """Return the firing that this one was taken over from: it has what went in and came out."""
    if firing.origin_id is None:
        return None
    return NodeExecution.objects.filter(
        execution_id=firing.origin_id, node_key=firing.node_key, item_path=firing.item_path
    ).first()


def _waits(firing: NodeExecution) -> WaitQuerySet:
    """Return what it waits for, and what it has waited for before."""
    return Wait.objects.filter(execution_id=firing.execution_id, node_key=firing.node_key, item_path=firing.item_path)


def _children(firing: NodeExecution) -> QuerySet[Execution]:
    return Execution.objects.filter(
        parent_id=firing.execution_id, parent_node=firing.node_key, parent_path=firing.item_path
    )


def _lone(values: list[Any]) -> Any:
    """Return what a pin yielded: the value itself where it was one."""
    return values[0] if len(values) == 1 else values
