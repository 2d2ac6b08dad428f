"""The console's windows onto graphs: look at everything, publish, rename, archive. Drawing is done in documents."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from agentplatform.lib.named_list import NamedList
from graphs import services
from graphs.admin_parts import GraphForm, LinkInline, NodeFields, NodeInline, ReadOnly, VersionInline, shown_static
from graphs.errors import GraphInvalid, NothingToPublish
from graphs.models import Graph, GraphVersion, Link, Node


@admin.register(Graph)
class GraphAdmin(NamedList):
    """Graphs of everybody."""

    list_display = ["name", "owner", "latest_version", "state", "updated_at"]
    list_filter = ["is_archived"]
    list_select_related = ["owner"]
    search_fields = ["name", "id", "owner__username"]
    search_help_text = "Name, id or owner"
    ordering = ["-id"]
    show_full_result_count = False
    form = GraphForm
    fields = ["name", "owner", "description", "is_archived", "max_concurrent", "created_at", "updated_at", "id"]
    readonly_fields = ["id", "owner", "created_at", "updated_at"]
    inlines = [VersionInline]
    actions = ["publish"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Graph]:
        return super().get_queryset(request).annotate(latest_number=Max("versions__number"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description="Latest version", ordering="latest_number", empty_value="not published")
    def latest_version(self, graph: Graph) -> int | None:
        return graph.latest_number  # type: ignore[attr-defined]

    @display(description="State", label={"in use": "success", "archived": "default"})
    def state(self, graph: Graph) -> str:
        return "archived" if graph.is_archived else "in use"

    @admin.action(description="Publish", permissions=["change"])
    def publish(self, request: HttpRequest, queryset: QuerySet[Graph]) -> None:
        """Publish the drafts of the chosen graphs, and say what is in the way where that fails."""
        for graph in queryset:
            try:
                version = services.publish(graph)
            except GraphInvalid as error:
                for problem in error.problems[:10]:
                    self.message_user(request, f"{graph}: {problem.path}: {problem.message}", messages.ERROR)
            except NothingToPublish as error:
                self.message_user(request, f"{graph}: {error} {error.hint}", messages.WARNING)
            else:
                self.message_user(request, f"{graph} is published as version {version.number}.")


@admin.register(GraphVersion)
class GraphVersionAdmin(ReadOnly, NamedList):
    """One state of a graph, with all its nodes and links."""

    list_display = ["__str__", "node_count", "published_at", "created_at"]
    list_select_related = ["graph"]
    search_fields = ["graph__name", "graph__id", "id"]
    search_help_text = "Name or id of a graph, or id"
    ordering = ["-id"]
    show_full_result_count = False
    fieldsets = [
        (None, {"fields": ["graph", "shown_number", "created_at", "published_at"]}),
        ("Technical", {"classes": ["collapse"], "fields": ["id", "checksum"]}),
    ]
    readonly_fields = ["shown_number"]
    inlines = [NodeInline, LinkInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[GraphVersion]:
        return super().get_queryset(request).annotate(node_count=Count("nodes"))

    @admin.display(description="Number")
    def shown_number(self, version: GraphVersion) -> str:
        return str(version.number or "draft")

    @admin.display(description="Nodes", ordering="node_count")
    def node_count(self, version: GraphVersion) -> int:
        return version.node_count  # type: ignore[attr-defined]


@admin.register(Node)
class NodeAdmin(NodeFields, ReadOnly, NamedList):
    """Nodes of all versions: where a block is used."""

    list_display = ["__str__", "block", "version", "on_error"]
    list_filter = ["on_error"]
    list_select_related = ["version__graph"]
    search_fields = ["=block_id", "=key"]
    search_help_text = "Block, or key of a node"
    ordering = ["-id"]
    show_full_result_count = False
    fieldsets = [
        (None, {"fields": ["version", "title", "key", "block", "inputs", "on_error"]}),
        (None, {"fields": ["retries", "time_limit", "named_credentials"]}),
        (
            "Technical",
            {"classes": ["collapse"], "fields": ["id", "order", "position_x", "position_y", "metadata", "facts"]},
        ),
    ]
    readonly_fields = ["facts", "block", "retries", "time_limit", "named_credentials"]


@admin.register(Link)
class LinkAdmin(ReadOnly, NamedList):
    """Links of all versions."""

    list_display = ["__str__", "source", "sink", "version", "static"]
    fields = ["version", "source", "source_pin", "sink", "sink_pin", "static"]
    readonly_fields = ["static"]
    list_filter = ["is_static"]
    list_select_related = ["version__graph", "source", "sink"]
    search_fields = ["=source_pin", "=sink_pin"]
    ordering = ["-id"]
    show_full_result_count = False

    @admin.display(description="Static")
    def static(self, link: Link) -> str:
        return shown_static(link)
