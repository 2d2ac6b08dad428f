"""Whoever asks the outside is held to the same: one case for each block and door that does (S6, and S1 to S3 beside HTTP)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest

from agentplatform.lib import mail
from agentplatform.lib.addresses import Address, AllowedHosts
from agentplatform.lib.connect import open_streams
from agentplatform.lib.crypto import Sealed
from agentplatform.lib.errors import AppError
from agentplatform.lib.http_errors import UrlForbidden
from blocks import BLOCKS
from blocks.sdk import Block
from blocks.sdk.testing import KnownCredentials, MemoryContext, run_block
from executions import outgoing
from integrations.providers import ProviderName
from tests.outside import allow_only, raw_server

INSIDE = [
    pytest.param("169.254.169.254", id="S1 metadata"),
    pytest.param("metadata.google.internal", id="S1 metadata name"),
    pytest.param("2130706433", id="S2 one number"),
    pytest.param("localhost", id="S2 name"),
    pytest.param("[::ffff:127.0.0.1]", id="S2 mapped"),
    pytest.param("[64:ff9b::7f00:1]", id="S2 NAT64"),
]
#: By provider, the address of a server inside.
ADDRESSES = {ProviderName.SMTP: "smtp://{host}:587"}


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.credentials_required], ids=lambda block: f"S6 {block.id}"
)
async def test_a_block_refuses_a_provider_inside(
    block: type[Block], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_only(monkeypatch)
    credentials = {}
    for provider in block.credentials_required:
        address = ADDRESSES.get(provider, "http://{host}/v1").replace("{host}", host)
        credentials[provider] = KnownCredentials("key", base_url=address, username="bob@example.com", password="x")
    example = block.examples[0].given
    given = {name: f"http://{host}/" if "{server}" in str(value) else value for name, value in example.items()}

    with pytest.raises(AppError) as refused:
        await run_block(block, given, context=MemoryContext(credentials=credentials, settings={"OPENAI_MODEL": "m"}))

    # A host that can not even be written as the place of a credential is refused as such.
    assert refused.value.code in ("URL_FORBIDDEN", "CREDENTIAL_HOST_FORBIDDEN")


@pytest.mark.parametrize("host", INSIDE)
async def test_what_goes_out_to_a_subscription_leads_to_no_address_inside(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_only(monkeypatch)
    secret = Sealed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    attempt = outgoing.Attempt(UUID(int=1), UUID(int=2), 1, 1, 1, f"https://{host}/hook", (secret,), b"{}", 1)

    outcome = await outgoing.send(attempt)

    assert outcome.error is not None
    assert outcome.error.code == "URL_FORBIDDEN"


class TestRawSockets:
    """The same check, for what does not speak HTTP."""

    @pytest.mark.parametrize("host", INSIDE)
    async def test_lead_to_no_address_inside(self, host: str) -> None:
        with pytest.raises(UrlForbidden):
            await open_streams(host.strip("[]"), 2525, AllowedHosts(), system_ports=mail.SYSTEM_PORTS)

    @pytest.mark.parametrize("port", [0, 22, 25, 80, 443, 65_536, -1])
    async def test_lead_to_no_other_service(self, port: int) -> None:
        with pytest.raises(UrlForbidden):
            await open_streams("mail.example.com", port, AllowedHosts(), system_ports=mail.SYSTEM_PORTS)

    @pytest.mark.parametrize(
        "addresses",
        [
            pytest.param(["127.0.0.1"], id="S3 a public name that leads inside"),
            pytest.param(["93.184.215.14", "10.0.0.1"], id="S3 mixed"),
            pytest.param(["::ffff:10.0.0.1"], id="S3 mapped"),
        ],
    )
    async def test_refuse_a_name_that_leads_inside(self, addresses: list[str]) -> None:
        async def resolve(host: str, port: int) -> list[Address]:
            return [ip_address(text) for text in addresses]

        with pytest.raises(UrlForbidden) as refused:
            await open_streams("mail.example.com", 587, AllowedHosts(), system_ports=mail.SYSTEM_PORTS, resolve=resolve)

        assert not any(address in str(refused.value) for address in addresses)

    async def test_connect_to_the_address_that_was_checked(self) -> None:
        """S3: the name is looked up once; what it says a moment later is never asked for."""
        answers = [["127.0.0.1"], ["127.0.0.99"]]

        async def resolve(host: str, port: int) -> list[Address]:
            return [ip_address(text) for text in answers.pop(0)]

        async def quiet(*_: Any) -> None:
            """Say nothing."""

        async with raw_server(quiet) as port:
            _, writer = await open_streams(
                "rebind.example.com",
                port,
                AllowedHosts.parse(["rebind.example.com"]),
                system_ports=frozenset(),
                resolve=resolve,
            )
            peer = writer.get_extra_info("peername")
            writer.close()

        assert (peer[0], len(answers)) == ("127.0.0.1", 1)
