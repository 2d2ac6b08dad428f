"""The transport behind `lib.http`: it checks where a connection goes, and how much comes back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from functools import cache
from typing import Any

import httpcore2
import httpx2

from agentplatform.lib.addresses import Address, AllowedHosts
from agentplatform.lib.connect import Resolve, check_place, checked_addresses, resolve
from agentplatform.lib.http_errors import HttpBadAnswer, HttpTooLarge, UrlForbidden

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_CONNECTIONS = 1_000
MAX_IDLE_CONNECTIONS = 100
IDLE_S = 15.0
ENCODINGS = "gzip, deflate"

Allowed = Callable[[], AllowedHosts]


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """An httpx2 transport that goes to allowed places only, and cuts an answer at `max_bytes` after decoding.

    A request can bring its own limit as the extension `max_bytes`.
    """

    def __init__(self, *, allowed: Allowed, max_bytes: int, resolve: Resolve = resolve) -> None:
        self._allowed = allowed
        self._max_bytes = max_bytes
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_tls(),
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_S,
            network_backend=_GuardedBackend(allowed, resolve),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; redirects are answers like any other.

        Raises:
            UrlForbidden: the address may not be asked.
            HttpTooLarge: the answer is larger than allowed.
        """
        check_url(request.url, self._allowed())
        request.headers["Accept-Encoding"] = ENCODINGS
        response = await super().handle_async_request(request)
        limit = request.extensions.get("max_bytes", self._max_bytes)
        try:
            _check_head(response, limit)
        except Exception:
            await response.aclose()
            raise
        # What is handed on is already decoded: whoever reads it can not be made to unpack more than the limit.
        plain = [
            pair for pair in response.headers.raw if pair[0].lower() not in (b"content-encoding", b"content-length")
        ]
        return httpx2.Response(
            status_code=response.status_code,
            headers=plain,
            stream=_LimitedStream(response, limit),
            extensions=response.extensions,
        )


def check_url(url: httpx2.URL, allowed: AllowedHosts) -> None:
    """Check what can be told from the text of an address; where its name leads is checked when connecting.

    Raises:
        UrlForbidden: it may not be asked.
    """
    if url.scheme not in DEFAULT_PORTS:
        raise UrlForbidden("Only http and https addresses may be asked.")
    if url.userinfo:
        raise UrlForbidden("A name and password do not belong into an address.", hint="Put them into a header.")
    port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    check_place(url.host, port, allowed, system_ports=frozenset(DEFAULT_PORTS.values()))


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections to addresses that were checked, and to exactly those."""

    def __init__(self, allowed: Allowed, resolve: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._checked_addresses(host, port, timeout)
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue  # the next address of the same name
        return await self._network.connect_tcp(str(addresses[-1]), port, timeout, local_address, socket_options)

    async def _checked_addresses(self, host: str, port: int, timeout: float | None) -> list[Address]:
        try:
            async with asyncio.timeout(timeout):
                addresses = await checked_addresses(host, port, self._allowed(), resolve=self._resolve)
        except TimeoutError:
            raise httpcore2.ConnectTimeout("The name could not be looked up in time.") from None
        except (OSError, UnicodeError):
            raise httpcore2.ConnectError("The name could not be looked up.") from None
        if not addresses:
            raise httpcore2.ConnectError("The name has no address.")
        return addresses

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        raise UrlForbidden("Sockets of this machine may not be asked.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _LimitedStream(httpx2.AsyncByteStream):
    def __init__(self, response: httpx2.Response, limit: int) -> None:
        self._response = response
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._response.aiter_bytes():
            size += len(chunk)
            if size > self._limit:
                raise _too_large(self._limit)
            yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()


def _check_head(response: httpx2.Response, limit: int) -> None:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", "deflate", ""):
        raise HttpBadAnswer("The answer is packed in a way that was not asked for.")
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit and response.status_code not in (204, 304):
        raise _too_large(limit)


def _too_large(limit: int) -> HttpTooLarge:
    return HttpTooLarge(f"The answer is larger than {limit} bytes.")


@cache
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)
