"""A real SMTP server on this machine, with a certificate of its own authority; it keeps what it takes."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from blocks.sdk.testing import KnownCredentials


@dataclass
class TakenMail:
    """What somebody has handed in."""

    sender: str
    recipients: list[str]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        """The mail, read."""
        return message_from_bytes(self.content, policy=policy.default)


@dataclass
class MailServer:
    """Answers like an SMTP server, except where `replies` says otherwise for a command."""

    port: int = 0
    is_direct_tls: bool = False
    offers_starttls: bool = True
    ways: str = "PLAIN LOGIN"
    login: tuple[str, str] = ("bob@example.com", "s3cret")
    #: Instead of the usual answer; None closes the connection instead. `.` is the end of the text.
    replies: dict[str, bytes | None] = field(default_factory=dict)
    taken: list[TakenMail] = field(default_factory=list)
    #: Every line heard, in the clear or not.
    heard: list[str] = field(default_factory=list)
    #: What was heard before TLS began.
    in_the_clear: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address for a credential."""
        return f"{'smtps' if self.is_direct_tls else 'smtp'}://localhost:{self.port}"

    @property
    def place(self) -> str:
        """The entry for lists of hosts."""
        return f"localhost:{self.port}"


class Certificates:
    """A certificate authority, and a certificate of it for a name."""

    def __init__(self, folder: Path, name: str = "localhost") -> None:
        self.authority, self.server = folder / "authority.pem", folder / "server.pem"
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        ca = self._made(ca_name, ca_name, ca_key, ca_key, x509.BasicConstraints(ca=True, path_length=0))
        leaf = self._made(
            x509.Name([]), ca_name, key, ca_key, x509.SubjectAlternativeName([x509.DNSName(name)]), ca_key
        )
        self.authority.write_bytes(ca)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.server.write_bytes(private + leaf)

    @staticmethod
    def _made(
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        signer: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
        authority: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(extension, critical=True)
        )
        if authority is not None:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
            builder = builder.add_extension(identifier, critical=False)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@contextlib.contextmanager
def mail_server(certificate: Path, **behaviour: object) -> Iterator[MailServer]:
    """Serve mail on a free port of this machine."""
    server = MailServer(**behaviour)  # type: ignore[arg-type]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listening = socket.create_server(("127.0.0.1", 0))
    server.port = listening.getsockname()[1]
    threading.Thread(target=_serve, args=(server, listening, context), daemon=True).start()
    try:
        yield server
    finally:
        listening.close()


@contextlib.contextmanager
def trusted_mail_server(folder: Path, **behaviour: object) -> Iterator[MailServer]:
    """Serve mail with a certificate that this process trusts until the end of the block."""
    certificates = Certificates(folder)
    with pytest.MonkeyPatch.context() as patch, mail_server(certificates.server, **behaviour) as server:
        patch.setenv("SSL_CERT_FILE", str(certificates.authority))
        yield server


def credential_of(server: MailServer) -> KnownCredentials:
    """Return the credential that the server takes."""
    username, password = server.login
    return KnownCredentials("", base_url=server.url, kind="user_password", username=username, password=password)


def _serve(server: MailServer, listening: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return  # the test is over
        # The client may go away at any moment, or not trust the certificate.
        with contextlib.suppress(OSError, EOFError), connection:
            connection.settimeout(5)
            if server.is_direct_tls:
                connection = context.wrap_socket(connection, server_side=True)
            _Conversation(server, connection, context).hold()


class _Conversation:
    def __init__(self, server: MailServer, connection: socket.socket, context: ssl.SSLContext) -> None:
        self.server, self.connection, self.context = server, connection, context
        self.file = connection.makefile("rb")
        self.is_encrypted = server.is_direct_tls
        self.mail = TakenMail("", [], b"")

    def hold(self) -> None:
        self.answer("greeting", b"220 test\r\n")
        while line := self.read():
            verb = line.partition(" ")[0].upper()
            if verb == "QUIT":
                return
            getattr(self, f"on_{verb.lower()}")(line)

    def read(self) -> str:
        line = self.file.readline().decode("ascii").rstrip("\r\n")
        self.server.heard.append(line)
        if not self.is_encrypted:
            self.server.in_the_clear.append(line)
        return line

    def answer(self, command: str, usual: bytes) -> None:
        reply = self.server.replies.get(command, usual)
        if reply is None:
            self.connection.shutdown(socket.SHUT_RDWR)
            raise EOFError
        self.connection.sendall(reply)

    def on_ehlo(self, _: str) -> None:
        offers = [b"test", b"8BITMIME"]
        if self.server.offers_starttls and not self.is_encrypted:
            offers.append(b"STARTTLS")
        offers.append(b"AUTH " + self.server.ways.encode())
        lines = [b"250" + (b" " if offer is offers[-1] else b"-") + offer + b"\r\n" for offer in offers]
        self.answer("EHLO", b"".join(lines))

    def on_starttls(self, _: str) -> None:
        self.answer("STARTTLS", b"220 go\r\n")
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.file, self.is_encrypted = self.connection.makefile("rb"), True

    def on_auth(self, line: str) -> None:
        _, way, *rest = line.split(" ")
        if way == "PLAIN":
            _, name, password = base64.b64decode(rest[0]).decode().split("\0")
        else:
            self.connection.sendall(b"334 VXNlcm5hbWU6\r\n")
            name = base64.b64decode(self.read()).decode()
            self.connection.sendall(b"334 UGFzc3dvcmQ6\r\n")
            password = base64.b64decode(self.read()).decode()
        is_right = (name, password) == self.server.login
        self.answer("AUTH", b"235 ok\r\n" if is_right else b"535 no\r\n")

    def on_mail(self, line: str) -> None:
        self.mail = TakenMail(line[len("MAIL FROM:<") : -1], [], b"")
        self.answer("MAIL", b"250 ok\r\n")

    def on_rcpt(self, line: str) -> None:
        recipient = line[len("RCPT TO:<") : -1]
        self.mail.recipients.append(recipient)
        self.answer(f"RCPT {recipient}", b"250 ok\r\n")

    def on_data(self, _: str) -> None:
        self.answer("DATA", b"354 go\r\n")
        lines: list[bytes] = []
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                raise EOFError
            lines.append(line[1:] if line.startswith(b".") else line)
        self.mail.content = b"".join(lines)
        self.server.taken.append(self.mail)
        self.answer(".", b"250 taken\r\n")
