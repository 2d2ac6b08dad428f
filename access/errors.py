"""What an API key can be refused for."""

from __future__ import annotations

from agentplatform.lib.errors import AppError


class ApiKeyInvalid(AppError):
    """The key can not be made like this."""

    code = "API_KEY_INVALID"
    status = 422
    hint = "Correct the field it names."


class ScopeMissing(AppError):
    """The key is not allowed this."""

    code = "SCOPE_MISSING"
    status = 403
    hint = "Ask with a key that has this scope, or make one."
