"""What can go wrong between a person's permission and a token."""

from __future__ import annotations

from agentplatform.lib.errors import AppError


class OAuthRequestInvalid(AppError):
    """This answer belongs to no open question of yours."""

    code = "OAUTH_REQUEST_INVALID"
    hint = "Connect again from the credential's page. Each question is good once, for ten minutes, in the browser that asked it."


class OAuthNotPossible(AppError):
    """This credential is not one that a provider is asked to allow."""

    code = "OAUTH_NOT_POSSIBLE"
    status = 409
    hint = "It has to be of the kind oauth2, with the id and secret of a client, and https addresses to ask at."


class OAuthRefused(AppError):
    """The provider does not allow it."""

    code = "OAUTH_REFUSED"
    status = 502
    hint = "Check the client's id, secret and callback address at the provider, then connect again."


class OAuthBusy(AppError):
    """The provider asks to come back later."""

    code = "OAUTH_BUSY"
    status = 503
    hint = "Connect again in a while."


class CredentialNotConnected(AppError):
    """Nobody has allowed this credential anything yet."""

    code = "CREDENTIAL_NOT_CONNECTED"
    status = 409
    hint = "Open the credential in the console, and choose Connect."


class CredentialRefreshFailed(AppError):
    """The provider gives no new token for this credential."""

    code = "CREDENTIAL_REFRESH_FAILED"
    status = 502
    hint = "Open the credential in the console, and connect it again."


class CredentialRefreshBusy(AppError):
    """A new token for this credential can not be had just now."""

    code = "CREDENTIAL_REFRESH_BUSY"
    status = 503
    hint = "Nothing is lost: it is tried again with the next use."
