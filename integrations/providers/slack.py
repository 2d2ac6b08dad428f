"""Slack: messages, as a bot of a workspace."""

from __future__ import annotations

from integrations.providers.names import ProviderName
from integrations.providers.provider import AuthKind, OAuthEndpoints, Provider, TestRequest

PROVIDER = Provider(
    name=ProviderName.SLACK,
    title="Slack",
    kinds=(AuthKind.API_KEY, AuthKind.OAUTH2),
    base_url="https://slack.com/api",
    hosts=("slack.com",),
    oauth=OAuthEndpoints(
        authorize_url="https://slack.com/oauth/v2/authorize",
        token_url="https://slack.com/api/oauth.v2.access",  # noqa: S106 - an address
        scopes=("chat:write",),
        scope_separator=",",
    ),
    signature_scheme="slack",
    test_request=TestRequest("POST", "/auth.test", ok_key="ok"),
)
