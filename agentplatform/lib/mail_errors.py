"""What can go wrong on the way to a mail server."""

from __future__ import annotations

from agentplatform.lib.errors import AppError


class MailAddressInvalid(AppError):
    """This is not the address of a mailbox."""

    code = "MAIL_ADDRESS_INVALID"
    hint = (
        "Write it as name@example.com, or as Ann <ann@example.com>; one line, in letters without accents before the @."
    )


class MailServerInvalid(AppError):
    """This is not the address of a mail server."""

    code = "MAIL_SERVER_INVALID"
    hint = (
        "Write smtp://host:587 for a server that turns to TLS (STARTTLS), or smtps://host:465 for TLS from the start."
    )


class MailNotSecure(AppError):
    """The mail server does not prove who it is."""

    code = "MAIL_NOT_SECURE"
    status = 502
    hint = "It has to offer TLS, with a certificate for the name in its address. Nothing is sent in the clear."


class MailLoginRefused(AppError):
    """The mail server does not accept the name and password."""

    code = "MAIL_LOGIN_REFUSED"
    status = 502
    hint = "Check them; many servers want a password made for programs."


class MailRefused(AppError):
    """The mail server does not take this mail. Nothing was sent."""

    code = "MAIL_REFUSED"
    status = 502
    hint = "Check the addresses, and that the server lets this account send for the sender."


class MailUncertain(AppError):
    """The mail server did not say whether it took the mail. It may have been sent."""

    code = "MAIL_UNCERTAIN"
    status = 502
    hint = "Look whether it has arrived before it is sent again."
