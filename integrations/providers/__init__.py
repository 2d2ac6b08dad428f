"""Who the platform can talk to: provider names, free of Django so that blocks may use them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ProviderName(StrEnum):
    """The services a credential may belong to."""

    OPENAI = "openai"
    GITHUB = "github"
    SEARCH = "search"
    HTTP = "http"


#: Where a provider is asked if a credential does not say. The others are wherever their operator runs them.
DEFAULT_BASE_URLS: Mapping[str, str] = {
    ProviderName.OPENAI: "https://api.openai.com/v1",
    ProviderName.GITHUB: "https://api.github.com",
}
