"""Which server a node's models are asked at: one pooled SDK client per credential and event loop, on the platform's own connections."""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from agentplatform.lib import http
from blocks.sdk import Block, Credentials
from integrations import providers
from integrations.providers import ProviderName

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MAX_CLIENTS = 64


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a model is waited for, in seconds."""

    connect_s: float = 10.0
    #: Until the first piece of a reply that comes in pieces, and between two of them.
    piece_s: float = 60.0
    #: For all of a reply. Pieces that drip slowly do not make it longer.
    total_s: float = 120.0


PATIENCE = Patience()

_ClientKey = tuple[str, str]
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, OrderedDict[_ClientKey, AsyncOpenAI]] = WeakKeyDictionary()
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Connection:
    """A server, and the client that asks it with the node's credential."""

    base_url: str
    sdk: AsyncOpenAI = field(repr=False)
    credentials: Credentials = field(repr=False)

    @property
    def api_key(self) -> str:
        """Return what must not appear in anything it says."""
        return self.credentials.api_key

    @property
    def is_openai(self) -> bool:
        """Return whether this is OpenAI itself, and no other server that speaks its protocol."""
        return self.base_url == providers.get(ProviderName.OPENAI).base_url


def preload() -> None:
    """Import the SDK, which takes a second or more: not on the event loop, where everything else would wait for it."""
    import openai  # noqa: F401

    http.preload()


async def connect(block: Block) -> Connection:
    """Return the connection that the node's credential is for. Nothing is sent yet.

    Raises:
        BlockError: there is no credential.
        AppError: the credential may not be sent to this address.
    """
    if "openai" not in sys.modules:
        await asyncio.to_thread(preload)
    credentials = await block.get_credentials(ProviderName.OPENAI)
    base_url = credentials.base_url or providers.get(ProviderName.OPENAI).base_url
    http.check_hosts(base_url, credentials.allowed_hosts)
    return Connection(base_url, client_of(base_url, credentials.api_key), credentials)


def client_of(base_url: str, api_key: str) -> AsyncOpenAI:
    """Return the client for a credential on the running event loop; the one that was not used for longest makes room."""
    loop = asyncio.get_running_loop()
    with _lock:
        clients = _clients.setdefault(loop, OrderedDict())
    key = (base_url, api_key)
    if key not in clients:
        clients[key] = _made(base_url, api_key)
    clients.move_to_end(key)
    if len(clients) > MAX_CLIENTS:
        clients.popitem(last=False)
    return clients[key]


def _made(base_url: str, api_key: str) -> AsyncOpenAI:
    from openai import AsyncOpenAI, Timeout

    # Retrying is the platform's: it knows the node's policy, waits without holding a slot, and counts attempts.
    client = AsyncOpenAI(
        base_url=base_url,
        api_key=api_key or "none",
        http_client=http.client(),
        max_retries=0,
        timeout=Timeout(PATIENCE.total_s, connect=PATIENCE.connect_s),
    )
    # What the SDK finds in the worker's environment is not for any server that a node names.
    client.organization = client.project = client.admin_api_key = client.webhook_secret = None
    client._custom_headers = {}
    return client
