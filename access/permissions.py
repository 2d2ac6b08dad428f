"""What a key opens: the scope that a view declares for what is asked."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from access.errors import ScopeMissing
from access.models import ApiKey
from access.scopes import ANY_KEY, scope_of


class HasScope(BasePermission):
    """Lets people in who are logged in, and keys that have the scope. A view that declares none is closed to keys."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Say whether the view may be asked.

        Raises:
            ScopeMissing: the key is good, but not for this.
        """
        if not (request.user and request.user.is_authenticated):
            return False
        if not isinstance(request.auth, ApiKey):
            return True
        needed = scope_of(view, str(request.method), getattr(view, "action", None))
        if needed != ANY_KEY and needed not in request.auth.scopes:
            raise ScopeMissing(f"This key has not the scope {needed}." if needed else "No key may ask this.")
        return True
