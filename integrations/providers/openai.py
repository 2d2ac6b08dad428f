"""OpenAI, and every server that speaks its protocol: a credential with another address is one for that server."""

from __future__ import annotations

from integrations.providers.names import ProviderName
from integrations.providers.provider import AuthKind, Provider, TestRequest

PROVIDER = Provider(
    name=ProviderName.OPENAI,
    title="OpenAI, or compatible",
    kinds=(AuthKind.API_KEY,),
    base_url="https://api.openai.com/v1",
    hosts=("api.openai.com",),
    signature_scheme="standard-webhooks",
    price_table="openai",
    test_request=TestRequest("GET", "/models"),
)
