"""Any other service with an HTTP API: the credential says where it is and what it wants to see."""

from __future__ import annotations

from integrations.providers.names import ProviderName
from integrations.providers.provider import AuthKind, Provider, TestRequest

PROVIDER = Provider(
    name=ProviderName.HTTP,
    title="Any HTTP service",
    kinds=(AuthKind.API_KEY, AuthKind.USER_PASSWORD, AuthKind.OAUTH2, AuthKind.HOST_HEADERS),
    test_request=TestRequest("GET", ""),
)
