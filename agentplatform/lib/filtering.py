"""Filters of lists: one that is given says something."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters import BooleanFilter
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request


class StrictFilterBackend(DjangoFilterBackend):  # type: ignore[misc]  # django-filter has no types
    """Refuses a filter without a value, or of yes or no with another one: whoever sends such would be given everything."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        """Return what the filters let through.

        Raises:
            ValidationError: one of them is empty, or neither `true` nor `false` where that is asked.
        """
        known = getattr(self.get_filterset_class(view, queryset), "base_filters", {})
        empty = [name for name in known if "" in request.query_params.getlist(name)]
        if empty:
            raise ValidationError(dict.fromkeys(empty, "It says nothing: leave it out, or give it a value."))
        unclear = [
            name
            for name, one in known.items()
            if isinstance(one, BooleanFilter)
            and not {value.lower() for value in request.query_params.getlist(name)} <= {"true", "false"}
        ]
        if unclear:
            raise ValidationError(dict.fromkeys(unclear, "It is `true` or `false`."))
        found: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return found
