"""Sending mails from a graph: what is refused before anything is sent, and what is not known afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentplatform.lib.errors import AppError
from blocks.mail.send_mail import SendMailBlock
from blocks.sdk.testing import KnownCredentials, MemoryContext, run_block
from tests.mail_server import MailServer, credential_of, trusted_mail_server
from tests.outside import allow_only

GIVEN = {"to": ["ann@example.com"], "subject": "Tea", "text": "Ready."}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server that the platform trusts."""
    with trusted_mail_server(tmp_path) as serving:
        allow_only(monkeypatch, serving.place)
        yield serving


async def send(credential: KnownCredentials, key: str = "firing", **fields: Any) -> str:
    context = MemoryContext(credentials={"smtp": credential}, idempotency_key=key)
    (pair,) = await run_block(SendMailBlock, {**GIVEN, **fields}, context=context)
    return str(pair[1])


async def test_is_from_whom_the_credential_belongs_to(server: MailServer) -> None:
    await send(credential_of(server))

    assert server.taken[0].message["From"] == "bob@example.com"


async def test_has_an_id_that_tells_a_firing_from_another(server: MailServer) -> None:
    ids = [await send(credential_of(server), key) for key in ("one", "one", "two")]

    assert ids[0] == ids[1] != ids[2]
    assert [mail.message["Message-ID"] for mail in server.taken] == ids


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"to": ["ann@example.com\r\nBcc: eve@example.com"]}, "MAIL_ADDRESS_INVALID", id="recipient"),
        pytest.param({"to": ["ann@example.com", "not one"]}, "MAIL_ADDRESS_INVALID", id="one of two"),
        pytest.param({"sender": "bob@example.com\nX: y"}, "MAIL_ADDRESS_INVALID", id="sender"),
        pytest.param({"reply_to": "bob@example.com\nX: y"}, "MAIL_ADDRESS_INVALID", id="reply to"),
        pytest.param({"to": []}, "INPUT_INVALID", id="nobody"),
    ],
)
async def test_is_refused_before_it_is_sent(fields: dict[str, Any], code: str, server: MailServer) -> None:
    with pytest.raises(AppError) as refused:
        await send(credential_of(server), **fields)

    assert refused.value.code == code
    assert server.heard == []


@pytest.mark.parametrize(
    ("credential", "code"),
    [
        (KnownCredentials("", username="bob@example.com"), "CREDENTIAL_INCOMPLETE"),
        (KnownCredentials("", base_url="https://mail.example.com", username="bob@example.com"), "MAIL_SERVER_INVALID"),
        (KnownCredentials("", base_url="smtp://10.0.0.1:587", username="bob@example.com"), "URL_FORBIDDEN"),
        (KnownCredentials("", base_url="smtp://mail.example.com:25", username="bob@example.com"), "URL_FORBIDDEN"),
    ],
)
async def test_needs_a_server_that_may_be_asked(credential: KnownCredentials, code: str) -> None:
    with pytest.raises(AppError) as refused:
        await send(credential)

    assert refused.value.code == code
