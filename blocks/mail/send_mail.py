"""Sending a mail."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field

from agentplatform.lib import mail
from agentplatform.lib.clock import now
from agentplatform.lib.mail_text import Letter
from blocks.sdk import Block, BlockError, BlockSchema, Effects, Example
from integrations.providers import ProviderName


class SendMailInput(BlockSchema):
    to: list[str] = Field(min_length=1, max_length=100, description="Whom to write to: `ann@example.com`, each.")
    subject: str = Field(min_length=1, max_length=300, description="What it is about; line breaks become spaces.")
    text: str = Field(max_length=1_000_000, description="What it says, as plain text.")
    sender: str = Field(default="", description="Whom it is from; empty: the credential's user name.")
    reply_to: str = Field(default="", description="Where answers go, if not to the sender.")


class SendMailOutput(BlockSchema):
    output: str = Field(description="The mail's Message-ID, by which it is found in the server's logs.")


class SendMailBlock(Block):
    """Hand one mail to the credential's mail server."""

    id = "send-mail-block"
    name = "Send mail"
    description = "Sends a mail of plain text through your mail server (SMTP with TLS)."
    effects = Effects.AT_MOST_ONCE
    credentials_required = (ProviderName.SMTP,)
    input_schema, output_schema = SendMailInput, SendMailOutput
    examples = (
        Example(
            given={"to": ["ann@example.com"], "subject": "Tea", "text": "It is ready.", "sender": "bob@example.com"},
            gives=[("output", ...)],
        ),
    )

    async def execute(self, input_data: SendMailInput) -> AsyncIterator[tuple[str, Any]]:
        credentials = await self.get_credentials(ProviderName.SMTP)
        if not credentials.base_url:
            raise BlockError(
                "The credential for mail has no address.",
                code="CREDENTIAL_INCOMPLETE",
                hint="Give it the address of your mail server: smtp://host:587 or smtps://host:465.",
            )
        letter = Letter.written(
            sender=input_data.sender or credentials.username,
            to=input_data.to,
            subject=input_data.subject,
            text=input_data.text,
            reply_to=input_data.reply_to,
            key=hashlib.sha256(self.idempotency_key.encode()).hexdigest()[:32],
            at=now(),
        )
        server = mail.MailServer(
            credentials.base_url, credentials.username, credentials.password, credentials.allowed_hosts
        )
        async with self.in_turn(credentials):
            await mail.send(server, letter)
        yield "output", letter.message_id
