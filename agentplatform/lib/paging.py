"""Keyset paging by id: ids are times of birth, so a page costs the same wherever it is, and nothing moves meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class PagesById(CursorPagination):
    """No count, no offset: page 1000 costs what page 1 costs. Subclasses choose the direction."""

    page_size = 50
    max_page_size = 200
    invalid_cursor_message = (
        "This cursor leads to no page: take the address in `next` as it is, or begin again without it."
    )
    page_size_query_param = "page_size"
    #: Reads an id, and raises `ValueError` for what is none.
    read_id: ClassVar[Callable[[str], Any]] = UUID

    def get_page_size(self, request: Request) -> int:
        """Return how many entries a page has.

        Raises:
            ValidationError: what is asked for is no such number.
        """
        asked = request.query_params.get(self.page_size_query_param)
        if asked is None:
            return self.page_size
        if not (asked.isascii() and asked.isdigit() and 0 < int(asked[:4]) <= self.max_page_size and len(asked) < 5):
            raise ValidationError({self.page_size_query_param: f"A page has from 1 to {self.max_page_size} entries."})
        return int(asked)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return how the description of the API tells of pages: with how much fits on one."""
        described: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in described:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] |= {"minimum": 1, "maximum": self.max_page_size}
        return described

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return where the page begins.

        Raises:
            NotFound: nobody has given this cursor.
        """
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            try:
                type(self).read_id(str(cursor.position))
            except ValueError:
                raise NotFound(self.invalid_cursor_message) from None
        return cursor
