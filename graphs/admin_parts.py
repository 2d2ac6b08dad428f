"""What pages of graphs, versions and nodes are made of."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminTextareaWidget

from graphs.models import Graph, GraphVersion, Link, Node

AS_ITS_BLOCK_SAYS = "as its block says"


class GraphForm(forms.ModelForm):
    """What can be set of a graph beside its drawing."""

    class Meta:
        model = Graph
        fields = ["name", "description", "is_archived", "max_concurrent"]
        labels: ClassVar = {"is_archived": "Archived", "max_concurrent": "Executions at a time"}
        help_texts: ClassVar = {
            "is_archived": "Put away: nothing new is started by its name.",
            "max_concurrent": "Further ones wait in line. Empty: as many as its owner may have.",
        }
        widgets: ClassVar = {"description": UnfoldAdminTextareaWidget(attrs={"rows": 3})}


class ReadOnly:
    """A window without levers."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class NodeFields:
    """How a node shows what was set on it, and that nothing was."""

    @admin.display(description="Block")
    def block(self, node: Node) -> str:
        return node.block_id

    @admin.display(description="Retries")
    def retries(self, node: Node) -> str:
        return _told(node.retry) or AS_ITS_BLOCK_SAYS

    @admin.display(description="Time limit")
    def time_limit(self, node: Node) -> str:
        return AS_ITS_BLOCK_SAYS if node.timeout_s is None else f"{node.timeout_s:g} s"

    @admin.display(description="Credentials")
    def named_credentials(self, node: Node) -> str:
        return _told(node.credentials) or "none named"


class VersionInline(ReadOnly, TabularInline):
    """The versions of a graph."""

    model = GraphVersion
    fields = ["number", "published_at", "created_at"]
    readonly_fields = fields
    ordering = ["-id"]
    show_change_link = True
    tab = True


class NodeInline(NodeFields, ReadOnly, TabularInline):
    """The nodes of a version."""

    model = Node
    fields = ["key", "block", "inputs", "on_error", "retries", "time_limit", "named_credentials"]
    readonly_fields = ["block", "retries", "time_limit", "named_credentials"]
    show_change_link = True


class LinkInline(ReadOnly, TabularInline):
    """The links of a version."""

    model = Link
    fields = ["source", "source_pin", "sink", "sink_pin", "static"]
    readonly_fields = ["static"]

    @admin.display(description="Static")
    def static(self, link: Link) -> str:
        return shown_static(link)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Link]:
        return super().get_queryset(request).select_related("source", "sink")


def shown_static(link: Link) -> str:
    """Say in words whether a link is static."""
    return "yes: its last value goes to every firing" if link.is_static else "no"


def _told(settings: dict[str, Any] | None) -> str:
    """Return what is set as `name: value`, and nothing for nothing."""
    return ", ".join(f"{name.replace('_', ' ')}: {_in_a_row(value)}" for name, value in (settings or {}).items())


def _in_a_row(value: Any) -> str:
    return (" ".join(map(str, value)) or "all") if isinstance(value, list) else str(value)
