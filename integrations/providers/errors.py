"""What can be wrong with a provider."""

from __future__ import annotations

from agentplatform.lib.errors import AppError


class ProviderUnknown(AppError):
    """There is no such provider."""

    code = "PROVIDER_UNKNOWN"
    hint = "Take one that the console offers."


class ProviderInvalid(AppError):
    """What was registered as a provider is none, or bears a name that is taken."""

    code = "PROVIDER_INVALID"
    hint = "Describe it with one Provider(...) whose name no other has."
