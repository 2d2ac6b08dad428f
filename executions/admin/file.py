"""The console's window onto files: what there is, who wrote it, and a way to download it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.decorators import display

from executions.admin.shown import WindowAdmin, as_id, shown_moment
from files.models import File, FileUse
from files.serving import download

LINK = '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>'


@admin.register(File)
class FileAdmin(WindowAdmin):
    """Files of everybody, the newest first."""

    list_display = ["name", "owner", "shown_type", "shown_size", "written_by", "shown_created", "shown_end", "content"]
    list_prefetch_related = ("owner",)
    search_fields = ["name"]
    search_help_text = "Id, execution, name in full, or SHA-256"
    sortable_by: list[str] = []
    fieldsets: Any = [
        (None, {"fields": ["name", "content", "owner", "shown_type", "shown_size", "written_by", "used_by"]}),
        (None, {"fields": ["shown_created", "shown_end"]}),
        ("Technical", {"classes": ["collapse"], "fields": ["id", "digest"]}),
    ]
    readonly_fields = flatten_fieldsets(fieldsets)

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the content."""
        view = self.admin_site.admin_view(self.content_view)
        return [path("<uuid:object_id>/content/", view, name="files_file_content"), *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[File], search_term: str
    ) -> tuple[QuerySet[File], bool]:
        if id_ := as_id(search_term):
            uses = FileUse.objects.filter(execution_id=id_).values("file_id")
            return queryset.filter(Q(pk=id_) | Q(pk__in=uses)), False
        if term := search_term.strip():
            return queryset.filter(Q(name=term) | Q(sha256=term.lower())), False
        return queryset, False

    def content_view(self, request: HttpRequest, object_id: Any) -> HttpResponseBase:
        """Download a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        file = self.get_object(request, str(object_id))
        if not isinstance(file, File):
            raise Http404
        return download(file, method=request.method)

    @display(description="Size")
    def shown_size(self, file: File) -> str:
        return str(filesizeformat(file.size))

    @display(description="Type")
    def shown_type(self, file: File) -> str:
        return file.content_type

    @display(description="SHA-256")
    def digest(self, file: File) -> str:
        return file.sha256

    @display(description="Created")
    def shown_created(self, file: File) -> str:
        return shown_moment(file.created_at)

    @display(description="Expires")
    def shown_end(self, file: File) -> str:
        return shown_moment(file.expires_at) or "never"

    @display(description="Written by")
    def written_by(self, file: File) -> str:
        if file.execution_id is None:
            return "uploaded"
        address = reverse("admin:executions_execution_change", args=[file.execution_id])
        return format_html(LINK, address, "an execution")

    @display(description="Used by")
    def used_by(self, file: File) -> str:
        address = f"{reverse('admin:executions_execution_changelist')}?file={file.pk}"
        return format_html(LINK, address, "the executions that were given it, or have read or written it")

    @display(description="Content")
    def content(self, file: File) -> str:
        address = reverse("admin:files_file_content", args=[file.pk])
        return format_html(LINK, address, "Download")
