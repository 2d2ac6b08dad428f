"""A search engine that speaks the JSON of SearXNG, wherever it runs."""

from __future__ import annotations

from integrations.providers.names import ProviderName
from integrations.providers.provider import AuthKind, Provider, TestRequest

PROVIDER = Provider(
    name=ProviderName.SEARCH,
    title="Search engine (SearXNG)",
    kinds=(AuthKind.API_KEY, AuthKind.USER_PASSWORD, AuthKind.HOST_HEADERS),
    test_request=TestRequest("GET", "/search?q=test&format=json"),
)
