"""Lets a key in: `Authorization: Bearer ap_…`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from access import keyring
from access.models import ApiKey
from agentplatform.lib.one_graph import limit_to


class ApiKeyAuthentication(BaseAuthentication):
    """Recognises an API key. Whoever sends none is left to the next way in."""

    keyword = b"bearer"

    def authenticate(self, request: Request) -> tuple[Any, ApiKey] | None:
        """Return whose key it is, and the key.

        Raises:
            AuthenticationFailed: it opens nothing. Why is nobody's business.
        """
        kind, _, text = get_authorization_header(request).partition(b" ")
        if kind.lower() != self.keyword:
            return None
        key = keyring.find(text.strip().decode("latin-1"), address=request.META.get("REMOTE_ADDR", ""))
        if key is None:
            raise AuthenticationFailed("This key opens nothing.", code="api_key_refused")
        limit_to(key.owner, key.graph_id)
        return key.owner, key

    def authenticate_header(self, request: Request) -> str:
        """Return what a missing login is answered with."""
        return 'Bearer realm="api"'


class _ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "access.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return how the schema describes it."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "ap_…"}
