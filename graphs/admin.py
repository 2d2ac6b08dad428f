"""The console's windows onto graphs: look at everything, publish, rename, archive. Drawing is done in documents."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline

from agentplatform.lib.named_list import NamedList
from graphs import services
from graphs.errors import GraphInvalid, NothingToPublish
from graphs.models import Graph, GraphVersion, Link, Node


class ReadOnly:
    """A window without levers."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VersionInline(ReadOnly, TabularInline):
    """The versions of a graph."""

    model = GraphVersion
    fields = ["number", "published_at", "created_at", "checksum"]
    readonly_fields = fields
    ordering = ["-id"]
    show_change_link = True
    tab = True


class NodeInline(ReadOnly, TabularInline):
    """The nodes of a version."""

    model = Node
    fields = ["key", "title", "block_id", "inputs", "on_error", "retry", "timeout_s", "credentials"]
    show_change_link = True


class LinkInline(ReadOnly, TabularInline):
    """The links of a version."""

    model = Link
    fields = ["source", "source_pin", "sink", "sink_pin", "is_static"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Link]:
        return super().get_queryset(request).select_related("source", "sink")


@admin.register(Graph)
class GraphAdmin(NamedList):
    """Graphs of everybody."""

    list_display = ["name", "owner", "latest_version", "is_archived", "updated_at"]
    list_filter = ["is_archived"]
    list_select_related = ["owner"]
    search_fields = ["name", "id", "owner__username"]
    ordering = ["-id"]
    show_full_result_count = False
    fields = ["id", "owner", "name", "description", "is_archived", "max_concurrent", "created_at", "updated_at"]
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

    list_display = ["__str__", "node_count", "published_at", "shown_checksum"]
    list_select_related = ["graph"]
    search_fields = ["graph__name", "graph__id", "id"]
    ordering = ["-id"]
    show_full_result_count = False
    fields = ["id", "graph", "number", "checksum", "created_at", "published_at"]
    inlines = [NodeInline, LinkInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[GraphVersion]:
        return super().get_queryset(request).annotate(node_count=Count("nodes"))

    @admin.display(description="Checksum")
    def shown_checksum(self, version: GraphVersion) -> str:
        return version.checksum[:12]

    @admin.display(description="Nodes", ordering="node_count")
    def node_count(self, version: GraphVersion) -> int:
        return version.node_count  # type: ignore[attr-defined]


@admin.register(Node)
class NodeAdmin(ReadOnly, NamedList):
    """Nodes of all versions: where a block is used."""

    list_display = ["__str__", "block_id", "version", "on_error"]
    list_filter = ["on_error"]
    list_select_related = ["version__graph"]
    search_fields = ["=block_id", "=key"]
    search_help_text = "Id of a block, to see where it is used, or key of a node"
    ordering = ["-id"]
    show_full_result_count = False
    readonly_fields = ["facts"]


@admin.register(Link)
class LinkAdmin(ReadOnly, NamedList):
    """Links of all versions."""

    list_display = ["__str__", "source", "sink", "version", "is_static"]
    list_filter = ["is_static"]
    list_select_related = ["version__graph", "source", "sink"]
    search_fields = ["=source_pin", "=sink_pin"]
    ordering = ["-id"]
    show_full_result_count = False
