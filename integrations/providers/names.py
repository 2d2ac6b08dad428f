"""The names of the providers, as blocks and credentials write them."""

from __future__ import annotations

from enum import StrEnum


class ProviderName(StrEnum):
    """The services a credential may belong to."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GITHUB = "github"
    SLACK = "slack"
    SEARCH = "search"
    HTTP = "http"
    SMTP = "smtp"
