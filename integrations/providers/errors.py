"""What can be wrong with a provider."""

from __future__ import annotations

from agentplatform.lib.errors import AppError


class ProviderUnknown(AppError):
    """There is no such provider."""

    code = "PROVIDER_UNKNOWN"
    hint = "Take one that the console offers."
