"""Who the platform can talk to. One provider is one file here, or one of an installed package."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.providers.errors import ProviderInvalid, ProviderUnknown
from integrations.providers.found import found
from integrations.providers.names import ProviderName
from integrations.providers.provider import AuthKind, OAuthEndpoints, Provider, TestRequest

#: In the order in which the console offers them.
ALL: tuple[Provider, ...] = found()

_BY_NAME: Mapping[str, Provider] = {provider.name: provider for provider in ALL}

#: Where a provider is asked if a credential does not say. The others are wherever their operator runs them.
DEFAULT_BASE_URLS: Mapping[str, str] = {provider.name: provider.base_url for provider in ALL if provider.base_url}


def get(name: str) -> Provider:
    """Return the provider called `name`.

    Raises:
        ProviderUnknown: there is none.
    """
    if name not in _BY_NAME:
        raise ProviderUnknown(f"There is no provider {name[:80]!r}.")
    return _BY_NAME[name]


__all__ = [
    "ALL",
    "DEFAULT_BASE_URLS",
    "AuthKind",
    "OAuthEndpoints",
    "Provider",
    "ProviderInvalid",
    "ProviderName",
    "ProviderUnknown",
    "TestRequest",
    "get",
]
