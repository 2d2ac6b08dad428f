"""What a mail says and to whom: addresses and headers that can not smuggle in others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Self

import idna

from agentplatform.lib.mail_errors import MailAddressInvalid

#: Plain text is packed so that it survives servers that know ASCII only.
_POLICY = SMTP.clone(cte_type="7bit")
_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(
    rf"(?:(?P<name>[^<>]{{0,200}})<)?(?P<user>{_WORD}(?:\.{_WORD})*)@(?P<domain>[^\s<>@]{{1,253}})(?P<end>>?)"
)
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail, ready to be handed in."""

    envelope_from: str
    envelope_to: tuple[str, ...]
    message_id: str
    content: bytes

    @classmethod
    def written(
        cls, *, sender: str, to: list[str], subject: str, text: str, reply_to: str = "", key: str, at: datetime
    ) -> Self:
        """Return a mail of plain text; `key` makes its Message-ID, the same for the same mail.

        Raises:
            MailAddressInvalid: a sender or recipient is not one mailbox.
        """
        author, readers = parse_mailbox(sender), [parse_mailbox(one) for one in to]
        message = EmailMessage(policy=_POLICY)
        message["From"] = author
        message["To"] = readers
        if reply_to:
            message["Reply-To"] = parse_mailbox(reply_to)
        # A line break in it would begin a header of the writer's choice.
        message["Subject"] = "".join(letter if letter.isprintable() else " " for letter in subject)
        message["Date"] = format_datetime(at)
        message["Message-ID"] = message_id = f"<{key}@{author.domain}>"
        message.set_content(text)
        envelope_to = tuple(dict.fromkeys(one.addr_spec for one in readers))
        return cls(author.addr_spec, envelope_to, message_id, message.as_bytes())


def parse_mailbox(text: str) -> Address:
    """Return the one mailbox that `text` names: `ann@example.com` or `Ann <ann@example.com>`.

    Raises:
        MailAddressInvalid: it names none, or more than one.
    """
    match = _ADDRESS.fullmatch(text.strip())
    name = ((match and match["name"]) or "").strip().strip('"')
    if (
        match is None
        or (match["name"] is None) != (match["end"] == "")
        or not name.isprintable()
        or len(match["user"]) > 64
    ):
        raise MailAddressInvalid(f"{text[:80]!r} is not the address of a mailbox.")
    try:
        domain = idna.encode(match["domain"], uts46=True).decode("ascii").lower()
    except UnicodeError:
        domain = ""
    if _DOMAIN.fullmatch(domain) is None:
        raise MailAddressInvalid(f"{text[:80]!r} is not the address of a mailbox.")
    return Address(display_name=name, username=match["user"], domain=domain)
