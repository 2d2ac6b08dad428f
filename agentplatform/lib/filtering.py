"""Filters of lists: one that is given says something."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request


class StrictFilterBackend(DjangoFilterBackend):  # type: ignore[misc]  # django-filter has no types
    """Refuses a filter without a value: whoever sends one has a variable that is not set, and would be given everything."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        """Return what the filters let through.

        Raises:
            ValidationError: one of them is empty.
        """
        known = getattr(self.get_filterset_class(view, queryset), "base_filters", {})
        empty = [name for name in known if "" in request.query_params.getlist(name)]
        if empty:
            raise ValidationError(dict.fromkeys(empty, "It says nothing: leave it out, or give it a value."))
        found: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return found
