"""Handing in mails to a real server, and refusing servers and texts that are not what they seem."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agentplatform.lib import mail
from agentplatform.lib.errors import AppError
from agentplatform.lib.mail_errors import MailAddressInvalid
from agentplatform.lib.mail_text import Letter, parse_mailbox
from tests.mail_server import Certificates, MailServer, mail_server
from tests.outside import allow_only

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INJECTED = b"220 go\r\n250-test\r\n250 AUTH PLAIN\r\n235 ok\r\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A certificate for localhost."""
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trust the authority of that certificate; return the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    allow_only(monkeypatch, "localhost")
    return certificates.server


@pytest.fixture
def server(trusted: Path) -> Iterator[MailServer]:
    """A mail server that behaves."""
    with mail_server(trusted) as serving:
        yield serving


def letter(**fields: Any) -> Letter:
    given = {"sender": "bob@example.com", "to": ["ann@example.com"], "subject": "Tea", "text": "Ready.\n"}
    return Letter.written(**{**given, **fields}, key="key", at=AT)


def known(server: MailServer, **fields: Any) -> mail.MailServer:
    name, password = server.login
    given = {"url": server.url, "username": name, "password": password, "allowed_hosts": (server.place,)}
    return mail.MailServer(**{**given, **fields})


async def code_of(server: mail.MailServer, sent: Letter, **options: Any) -> str:
    with pytest.raises(AppError) as refused:
        await mail.send(server, sent, **options)
    return refused.value.code


class TestSend:
    @pytest.mark.parametrize("behaviour", [{}, {"is_direct_tls": True}, {"ways": "LOGIN"}])
    async def test_hands_in_what_is_written(self, behaviour: dict[str, Any], trusted: Path) -> None:
        text = "Hé.\n.\n..two\nQUIT\r.\rlone\n"

        with mail_server(trusted, **behaviour) as server:
            await mail.send(
                known(server), letter(text=text, subject="Tée", to=["Ann Ö. <ann@example.com>", "x@bücher.example"])
            )

        (taken,) = server.taken
        assert (taken.sender, taken.recipients) == ("bob@example.com", ["ann@example.com", "x@xn--bcher-kva.example"])
        assert taken.message["Subject"] == "Tée"
        assert taken.message["Message-ID"] == "<key@example.com>"
        assert taken.message.get_content().replace("\r\n", "\n") == "Hé.\n.\n..two\nQUIT\n.\nlone\n"

    async def test_says_nothing_that_matters_before_it_is_encrypted(self, server: MailServer) -> None:
        await mail.send(known(server), letter())

        assert server.in_the_clear == ["EHLO agentplatform.invalid", "STARTTLS"]

    async def test_needs_no_name_where_the_server_wants_none(self, server: MailServer) -> None:
        await mail.send(known(server, username=""), letter())

        assert len(server.taken) == 1

    async def test_checks_a_login_without_a_mail(self, server: MailServer) -> None:
        await mail.check(known(server))

        assert server.taken == []
        assert any(line.startswith("AUTH") for line in server.heard)


class TestServers:
    @pytest.mark.parametrize(
        ("replies", "code"),
        [
            pytest.param({"greeting": b"554 go away\r\n"}, "HTTP_BAD_ANSWER", id="busy"),
            pytest.param({"greeting": b"HTTP/1.1 400 Bad Request\r\n"}, "HTTP_BAD_ANSWER", id="no mail server"),
            pytest.param({"greeting": None}, "HTTP_UNREACHABLE", id="hangs up"),
            pytest.param({"greeting": b"220-x\r\n" * 200}, "HTTP_BAD_ANSWER", id="talks without end"),
            pytest.param({"greeting": b"220 " + b"x" * 100_000 + b"\r\n"}, "HTTP_BAD_ANSWER", id="endless line"),
            pytest.param({"STARTTLS": b"454 no\r\n"}, "MAIL_NOT_SECURE", id="refuses TLS"),
            pytest.param({"STARTTLS": INJECTED}, "MAIL_LOGIN_REFUSED", id="answers injected before TLS"),
            pytest.param({"AUTH": b"535 no\r\n"}, "MAIL_LOGIN_REFUSED", id="password"),
            pytest.param({"MAIL": b"550 no\r\n"}, "MAIL_REFUSED", id="sender"),
            pytest.param({"RCPT x@example.com": b"550 no\r\n"}, "MAIL_REFUSED", id="one of two recipients"),
            pytest.param({"DATA": b"451 later\r\n"}, "MAIL_REFUSED", id="text"),
            pytest.param({"DATA": None}, "HTTP_UNREACHABLE", id="hangs up before the text"),
        ],
    )
    async def test_that_refuse_get_nothing(self, replies: dict[str, Any], code: str, trusted: Path) -> None:
        # Injected answers must not be believed: the real ones, after TLS, refuse.
        login = ("bob@example.com", "another") if replies.get("STARTTLS") == INJECTED else ("bob@example.com", "s3cret")
        with mail_server(trusted, replies=replies, login=login) as server:
            sent = letter(to=["ann@example.com", "x@example.com"])

            assert await code_of(known(server, password="s3cret"), sent) == code

        assert server.taken == []

    @pytest.mark.parametrize(
        ("reply", "code"),
        [
            (None, "MAIL_UNCERTAIN"),
            (b"Taken, I think\r\n", "MAIL_UNCERTAIN"),
            (b"2" * 100_000 + b"\r\n", "MAIL_UNCERTAIN"),
            (b"552 too large\r\n", "MAIL_REFUSED"),
        ],
    )
    async def test_that_got_the_text_may_have_sent_it(self, reply: bytes | None, code: str, trusted: Path) -> None:
        with mail_server(trusted, replies={".": reply}) as server:
            assert await code_of(known(server), letter()) == code

    async def test_that_say_nothing_are_left_in_time(self, trusted: Path) -> None:
        with mail_server(trusted, replies={"greeting": b""}) as server:
            assert await code_of(known(server), letter(), timeout_s=0.3) == "HTTP_TIMEOUT"

    async def test_without_tls_never_see_the_password(self, trusted: Path) -> None:
        with mail_server(trusted, offers_starttls=False) as server:
            assert await code_of(known(server), letter()) == "MAIL_NOT_SECURE"

        assert not any(line.startswith("AUTH") for line in server.heard)

    @pytest.mark.parametrize("is_direct_tls", [True, False])
    async def test_of_an_unknown_authority_never_see_the_password(
        self, is_direct_tls: bool, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        allow_only(monkeypatch, "localhost")
        with mail_server(certificates.server, is_direct_tls=is_direct_tls) as server:
            assert await code_of(known(server), letter()) == "MAIL_NOT_SECURE"

        assert not any(line.startswith("AUTH") for line in server.heard)

    @pytest.mark.parametrize("is_direct_tls", [True, False])
    async def test_with_a_certificate_for_another_name_never_see_the_password(
        self, is_direct_tls: bool, trusted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = Certificates(tmp_path, name="mail.example.com")
        monkeypatch.setenv("SSL_CERT_FILE", str(other.authority))
        with mail_server(other.server, is_direct_tls=is_direct_tls) as server:
            assert await code_of(known(server), letter()) == "MAIL_NOT_SECURE"

        assert not any(line.startswith("AUTH") for line in server.heard)

    @pytest.mark.parametrize(
        "url",
        [
            pytest.param("smtp://", id="no host"),
            pytest.param("https://localhost:{port}", id="not mail"),
            pytest.param("smtp://bob:s3cret@localhost:{port}", id="userinfo"),
            pytest.param("smtp://localhost:99999", id="no such port"),
            pytest.param("localhost:{port}", id="no scheme"),
        ],
    )
    async def test_are_written_as_addresses(self, url: str, server: MailServer) -> None:
        url = url.replace("{port}", str(server.port))

        assert await code_of(known(server, url=url), letter()) == "MAIL_SERVER_INVALID"

    async def test_get_only_their_own_credential(self, server: MailServer) -> None:
        """S27: for mail."""
        credential = known(server, allowed_hosts=("mail.example.com:587",))

        assert await code_of(credential, letter()) == "CREDENTIAL_HOST_FORBIDDEN"
        assert server.heard == []


class TestMailboxes:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("ann@example.com", "ann@example.com"),
            (" Ann B. <ann.b+tea@sub.example.com> ", "ann.b+tea@sub.example.com"),
            ('"Ann, B" <ann@EXAMPLE.com>', "ann@example.com"),
        ],
    )
    def test_are_read(self, text: str, address: str) -> None:
        assert parse_mailbox(text).addr_spec == address

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("ann@example.com\r\nBcc: eve@example.com", id="header injection"),
            pytest.param("Ann\r\nBcc: eve@example.com <ann@example.com>", id="header injection in the name"),
            pytest.param("ann@example.com>\r\nDATA", id="command injection"),
            pytest.param("<ann@example.com> SIZE=1", id="parameter"),
            pytest.param("ann@example.com, eve@example.com", id="two"),
            pytest.param("Ann <ann@example.com> <eve@example.com>", id="two in brackets"),
            pytest.param("ann@eve.example@example.com", id="two at"),
            pytest.param('"a b"@example.com', id="quoted"),
            pytest.param("ann@localhost", id="no domain"),
            pytest.param("ann@[127.0.0.1]", id="a literal"),
            pytest.param("ann@127.0.0.1", id="numbers"),
            pytest.param("ann@exa\0mple.com", id="NUL"),
            pytest.param("<ann@example.com", id="open bracket"),
            pytest.param("", id="nothing"),
        ],
    )
    def test_that_are_none_are_refused(self, text: str) -> None:
        with pytest.raises(MailAddressInvalid):
            parse_mailbox(text)

    @pytest.mark.parametrize("field", ["sender", "reply_to"])
    def test_of_the_writer_are_checked_as_well(self, field: str) -> None:
        with pytest.raises(MailAddressInvalid):
            letter(**{field: "bob@example.com\nBcc: eve@example.com"})

    def test_stay_alone_when_the_subject_breaks_its_line(self) -> None:
        content = letter(subject="Tea\r\nBcc: eve@example.com\u2028X: y").content

        assert b"\nBcc" not in content
        assert b"\nX:" not in content
