"""Everything that can go wrong with a credential: one class per failure, with its code and the way out."""

from __future__ import annotations

from agentplatform.lib.errors import AppError


class CredentialInvalid(AppError):
    """The credential can not be kept like this."""

    code = "CREDENTIAL_INVALID"
    status = 422
    hint = "Correct the field it names."


class CredentialMissing(AppError):
    """There is no credential for this provider."""

    code = "CREDENTIAL_MISSING"
    status = 422
    hint = "Add one in the console or with the API, or choose one on the node."


class CredentialNotFound(AppError):
    """There is no such credential of yours."""

    code = "CREDENTIAL_NOT_FOUND"
    status = 404
    hint = "Choose one that is yours, or that is shared with a group of yours."


class CredentialExpired(AppError):
    """The credential has expired."""

    code = "CREDENTIAL_EXPIRED"
    status = 422
    hint = "Write its new secret, or choose another."


class RateLimiterUnavailable(AppError):
    """The server that counts who may ask does not answer."""

    code = "RATE_LIMITER_UNAVAILABLE"
    status = 503
    hint = "Look whether Redis answers. Nothing was asked, so the node can be run again."
