"""The names that our own blocks write. Those of other providers are plain strings."""

from __future__ import annotations

from enum import StrEnum


class ProviderName(StrEnum):
    """Providers that blocks of ours ask."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GITHUB = "github"
    SLACK = "slack"
    SEARCH = "search"
    HTTP = "http"
    SMTP = "smtp"
