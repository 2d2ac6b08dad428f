"""A mail server, reached at `smtp://host:587` (STARTTLS) or `smtps://host:465` (TLS)."""

from __future__ import annotations

from integrations.providers.names import ProviderName
from integrations.providers.provider import AuthKind, Provider

PROVIDER = Provider(name=ProviderName.SMTP, title="Mail server (SMTP)", kinds=(AuthKind.USER_PASSWORD,))
