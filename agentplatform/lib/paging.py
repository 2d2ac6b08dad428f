"""Keyset paging by id: ids are times of birth, so a page costs the same wherever it is, and nothing moves meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class PagesById(CursorPagination):
    """No count, no offset: page 1000 costs what page 1 costs. Subclasses choose the direction."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    #: Reads an id, and raises `ValueError` for what is none.
    read_id: ClassVar[Callable[[str], Any]] = UUID

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
