"""GitHub: repositories, issues, pull requests. An installation of one's own is reached by its address."""

from __future__ import annotations

from integrations.providers.names import ProviderName
from integrations.providers.provider import AuthKind, OAuthEndpoints, Provider, TestRequest

PROVIDER = Provider(
    name=ProviderName.GITHUB,
    title="GitHub",
    kinds=(AuthKind.API_KEY, AuthKind.OAUTH2),
    base_url="https://api.github.com",
    hosts=("api.github.com",),
    oauth=OAuthEndpoints(
        authorize_url="https://github.com/login/oauth/authorize",
        token_url="https://github.com/login/oauth/access_token",  # noqa: S106 - an address
        scopes=("repo",),
    ),
    signature_scheme="github",
    test_request=TestRequest("GET", "/user"),
    # Its "secondary" limit: whoever asks more at once is turned away for a while.
    max_concurrent=100,
)
