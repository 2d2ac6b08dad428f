"""Anthropic, and every server that speaks its protocol."""

from __future__ import annotations

from integrations.providers.names import ProviderName
from integrations.providers.provider import AuthKind, Provider, TestRequest

PROVIDER = Provider(
    name=ProviderName.ANTHROPIC,
    title="Anthropic, or compatible",
    kinds=(AuthKind.API_KEY,),
    base_url="https://api.anthropic.com/v1",
    hosts=("api.anthropic.com",),
    key_header="x-api-key",
    key_format="{key}",
    extra_headers={"anthropic-version": "2023-06-01"},
    price_table="anthropic",
    test_request=TestRequest("GET", "/models"),
)
