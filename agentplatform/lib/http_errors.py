"""What can go wrong on the way to another machine and back."""

from __future__ import annotations

from agentplatform.lib.errors import AppError


class UrlForbidden(AppError):
    """This address may not be asked."""

    code = "URL_FORBIDDEN"
    hint = "Only public http and https addresses may be asked. The operator can allow a private one in AGENTPLATFORM_ALLOWED_PRIVATE_HOSTS."


class HeaderForbidden(AppError):
    """This header may not be sent."""

    code = "HTTP_HEADER_FORBIDDEN"
    hint = "Leave it out: the platform sets what the connection needs."


class CredentialHostForbidden(AppError):
    """This credential may not be sent there."""

    code = "CREDENTIAL_HOST_FORBIDDEN"
    status = 403
    hint = "A credential goes to the hosts it names, over https or to a port it names. If this is the host you mean, name it there."


class HttpTimeout(AppError):
    """The other side took too long."""

    code = "HTTP_TIMEOUT"
    status = 504
    hint = "Try again later, or allow more time."


class HttpUnreachable(AppError):
    """The other side can not be reached."""

    code = "HTTP_UNREACHABLE"
    status = 502
    hint = "Check the address, and that the service is up."


class HttpNotConnected(HttpUnreachable):
    """The other side can not be reached, so it has heard nothing."""


class HttpTooLarge(AppError):
    """The answer is larger than allowed."""

    code = "HTTP_TOO_LARGE"
    status = 502
    hint = "Ask for less at a time."


class HttpBadAnswer(AppError):
    """The answer can not be read."""

    code = "HTTP_BAD_ANSWER"
    status = 502
    hint = "Check that the address is the one you mean."
