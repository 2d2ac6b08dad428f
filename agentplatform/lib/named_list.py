"""What all lists of the console share: each is called what the sidebar calls it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from unfold.admin import ModelAdmin


class NamedList(ModelAdmin):  # type: ignore[misc]
    """A list whose title is the name of what it lists, in place of Django's `Select … to change`."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = capfirst(self.opts.verbose_name_plural)
        page: HttpResponse = super().changelist_view(request, {"title": title, **(extra_context or {})})
        return page
