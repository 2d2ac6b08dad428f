"""Handing in one mail: encrypted, to a server that proves its name, through the same check as every other connection."""

from __future__ import annotations

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from agentplatform.lib import http
from agentplatform.lib.connect import Streams, open_streams
from agentplatform.lib.credential_hosts import USUAL_PORTS, check_place
from agentplatform.lib.errors import AppError
from agentplatform.lib.foreign import quoted
from agentplatform.lib.http_errors import HttpBadAnswer, HttpTimeout, HttpUnreachable
from agentplatform.lib.mail_errors import (
    MailLoginRefused,
    MailNotSecure,
    MailRefused,
    MailServerInvalid,
    MailUncertain,
)
from agentplatform.lib.mail_text import Letter

TIMEOUT_S = 30.0
#: Of the ports below 1024, those at which a server takes mail from its users. Port 25 is for servers among themselves.
SYSTEM_PORTS = frozenset({465, 587})
MAX_REPLY_LINES = 100


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where a mail is handed in, and as whom."""

    url: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    #: Where the name and password may be sent, as `host:port`.
    allowed_hosts: Sequence[str] = ()


async def send(server: MailServer, letter: Letter, *, timeout_s: float = TIMEOUT_S) -> None:
    """Hand in `letter` for all whom it is to, or for none of them.

    Raises:
        MailServerInvalid, CredentialHostForbidden, UrlForbidden: the server may not be asked.
        HttpUnreachable, HttpTimeout, HttpBadAnswer: it could not be; nothing was sent.
        MailNotSecure, MailLoginRefused, MailRefused: it is not to be trusted, or does not want to; nothing was sent.
        MailUncertain: it got the text, and did not say whether it took the mail.
    """
    await _Dialogue.hold(server, letter, timeout_s)


async def check(server: MailServer, *, timeout_s: float = TIMEOUT_S) -> None:
    """Log in, and send nothing. Raises what `send` does."""
    await _Dialogue.hold(server, None, timeout_s)


class _Dialogue:
    """What is said to a mail server, line by line."""

    def __init__(self, host: str, streams: Streams) -> None:
        self.host = host
        self.reader, self.writer = streams
        self.is_handed_in = False
        self.offers: dict[str, str] = {}

    @classmethod
    async def hold(cls, server: MailServer, letter: Letter | None, timeout_s: float) -> None:
        scheme, host, port = _place(server)
        dialogue: _Dialogue | None = None
        try:
            async with asyncio.timeout(timeout_s):
                tls = await asyncio.to_thread(ssl.create_default_context)  # reads the authorities from files
                is_direct = scheme == "smtps"
                streams = await open_streams(
                    host, port, http.allowed(), system_ports=SYSTEM_PORTS, tls=tls if is_direct else None
                )
                dialogue = cls(host, streams)
                await dialogue._begin(None if is_direct else tls)
                if server.username:
                    await dialogue._log_in(server.username, server.password)
                if letter is not None:
                    await dialogue._hand_in(letter)
                dialogue.writer.write(b"QUIT\r\n")
        except (OSError, EOFError, asyncio.LimitOverrunError, HttpBadAnswer) as error:
            raise _failure(error, host, timeout_s, is_handed_in=bool(dialogue and dialogue.is_handed_in)) from None
        finally:
            if dialogue is not None:
                dialogue.writer.close()

    async def _begin(self, tls: ssl.SSLContext | None) -> None:
        self._expect(220, await self._reply(), HttpBadAnswer)
        await self._greet()
        if tls is None:
            return
        if "STARTTLS" not in self.offers:
            raise MailNotSecure(f"{self.host} does not offer TLS.")
        self._expect(220, await self._say("STARTTLS"), MailNotSecure)
        self.reader, self.writer = await _upgraded(self.writer, tls, self.host)
        await self._greet()  # what was offered in the clear may have been said by somebody else

    async def _greet(self) -> None:
        code, lines = await self._say("EHLO agentplatform.invalid")
        self._expect(250, (code, lines), HttpBadAnswer)
        self.offers = {word.upper(): rest.upper() for word, _, rest in (line.partition(" ") for line in lines[1:])}

    async def _log_in(self, username: str, password: str) -> None:
        ways = self.offers.get("AUTH", "").split()
        if "PLAIN" in ways:
            answer = await self._say("AUTH PLAIN " + _packed(f"\0{username}\0{password}"))
        elif "LOGIN" in ways:
            self._expect(334, await self._say("AUTH LOGIN"), MailLoginRefused)
            self._expect(334, await self._say(_packed(username)), MailLoginRefused)
            answer = await self._say(_packed(password))
        else:
            raise MailLoginRefused(f"{self.host} does not take a name and password.")
        self._expect(235, answer, MailLoginRefused)

    async def _hand_in(self, letter: Letter) -> None:
        self._expect(250, await self._say(f"MAIL FROM:<{letter.envelope_from}>"), MailRefused)
        for recipient in letter.envelope_to:
            self._expect(250, await self._say(f"RCPT TO:<{recipient}>"), MailRefused)
        self._expect(354, await self._say("DATA"), MailRefused)
        self.is_handed_in = True
        # One kind of line end, and no line that is a dot alone: the text can not end itself and begin another mail.
        lines = re.split(rb"\r\n|\r|\n", letter.content.removesuffix(b"\r\n"))
        self.writer.write(b"".join((b"." if line[:1] == b"." else b"") + line + b"\r\n" for line in lines) + b".\r\n")
        await self.writer.drain()
        answer = await self._reply()
        self.is_handed_in = False
        self._expect(250, answer, MailRefused)

    async def _say(self, line: str) -> tuple[int, list[str]]:
        if not line.isprintable():
            raise MailRefused("A line for the mail server holds what is not text.")
        self.writer.write(line.encode("ascii") + b"\r\n")
        await self.writer.drain()
        return await self._reply()

    async def _reply(self) -> tuple[int, list[str]]:
        lines: list[str] = []
        while len(lines) < MAX_REPLY_LINES:
            line = await self.reader.readuntil(b"\n")
            if not line[:3].isdigit():
                break
            lines.append(line[4:].decode("ascii", errors="replace").strip())
            if line[3:4] != b"-":
                return int(line[:3]), lines
        raise HttpBadAnswer(f"{self.host} does not answer like a mail server.")

    def _expect(self, code: int, answer: tuple[int, list[str]], error: type[AppError]) -> None:
        # 251: taken, and will be forwarded.
        if answer[0] != code and not (code == 250 and answer[0] == 251):
            raise error(f"{self.host} answered {answer[0]}: {quoted(' '.join(answer[1]))}")


def _place(server: MailServer) -> tuple[str, str, int]:
    try:
        parts = urlsplit(server.url)
        host, port = parts.hostname or "", parts.port or USUAL_PORTS.get(parts.scheme, 0)
    except ValueError:
        raise MailServerInvalid from None
    if parts.scheme not in ("smtp", "smtps") or not host or parts.username or parts.path.strip("/"):
        raise MailServerInvalid
    check_place(host, port, server.allowed_hosts, scheme=parts.scheme)
    return parts.scheme, host, port


async def _upgraded(writer: asyncio.StreamWriter, tls: ssl.SSLContext, host: str) -> Streams:
    loop = asyncio.get_running_loop()
    # A reader of its own: what somebody on the way has added to the answer in the clear stays behind with the old one.
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport = await loop.start_tls(writer.transport, protocol, tls, server_hostname=host)
    if transport is None:
        raise ConnectionResetError
    protocol.connection_made(transport)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _failure(error: Exception, host: str, timeout_s: float, *, is_handed_in: bool) -> AppError:
    if is_handed_in:
        return MailUncertain(f"{host} did not say whether it took the mail. It may have been sent.")
    match error:
        case HttpBadAnswer():
            return error
        case ssl.SSLError():
            return MailNotSecure(f"{host} does not prove who it is.")
        case TimeoutError():
            return HttpTimeout(f"{host} did not answer within {timeout_s:g} s.")
        case OSError() | EOFError():
            return HttpUnreachable(f"{host} has closed the connection.")
        case _:
            return HttpBadAnswer(f"{host} does not answer like a mail server.")


def _packed(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")
