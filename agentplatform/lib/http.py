"""The one door to other machines: every request of the platform leaves here.

A name is resolved once, all its addresses must be public, and the connection goes to an address that was checked. Each redirect comes
through the same check. Answers are cut at a size, requests at a deadline. Nothing is read from the environment: no proxies, no .netrc.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from agentplatform.lib.addresses import AllowedHosts
from agentplatform.lib.credential_hosts import USUAL_PORTS, check_place
from agentplatform.lib.http_errors import (
    HeaderForbidden,
    HttpBadAnswer,
    HttpNotConnected,
    HttpTimeout,
    HttpUnreachable,
    UrlForbidden,
)

if TYPE_CHECKING:
    import httpx2

    from agentplatform.lib.outbound import GuardedTransport

MAX_REDIRECTS = 5
USER_AGENT = "agentplatform"
#: What may follow a redirect to another origin. Anything else may be a key.
HARMLESS_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent"})
#: What the connection itself needs; set by anyone else, these would say one thing to a proxy and another to the server.
CONNECTION_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

_allowed = AllowedHosts()
_transports: WeakKeyDictionary[asyncio.AbstractEventLoop, GuardedTransport] = WeakKeyDictionary()
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a request may take in all, redirects and reading included, and how large its answer may be."""

    timeout_s: float = 30.0
    max_bytes: int = 10 * 1024 * 1024
    max_redirects: int = MAX_REDIRECTS


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def is_success(self) -> bool:
        """Return whether the status says that all went well."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """Return the body as text; what is not in its encoding is replaced."""
        _, _, charset = self.headers.get("content-type", "").lower().partition("charset=")
        try:
            return self.body.decode(charset.partition(";")[0].strip(" \"'") or "utf-8", errors="replace")
        except (LookupError, ValueError):
            return self.body.decode(errors="replace")

    def json(self) -> Any:
        """Return the body as the value it writes in JSON.

        Raises:
            HttpBadAnswer: it is not JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise HttpBadAnswer(f"{self.url} answered {self.status} with something that is not JSON.") from None


def configure(*, allowed_private: Sequence[str] = ()) -> None:
    """Set which private hosts may be asked, as `host` or `host:port`. Called once, at the start.

    Raises:
        ValueError: an entry is neither.
    """
    global _allowed
    _allowed = AllowedHosts.parse(list(allowed_private))


def allowed() -> AllowedHosts:
    """Return which private hosts may be asked, for whoever connects without HTTP."""
    return _allowed


async def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    body: Any = None,
    limits: Limits = Limits(),
    credential_hosts: Sequence[str] | None = None,
) -> Answer:
    """Ask `url` and return the whole answer, whatever its status. A body that is not bytes is sent as JSON.

    Whoever sends a credential along gives its hosts: neither the first address nor a redirect may lead it, or a body, elsewhere.

    Raises:
        UrlForbidden: the address, or one it leads to, may not be asked.
        CredentialHostForbidden: it carries a credential that may not be sent there.
        HeaderForbidden: a header may not be set, or can not be sent.
        HttpTimeout, HttpUnreachable, HttpTooLarge, HttpBadAnswer: as they say.
    """
    import httpx2  # slow to import; whoever only lists blocks never asks anybody

    asked = _request(method, url, headers or {}, params, body, limits)
    if credential_hosts is not None:
        _check_place(asked.url, credential_hosts)
    try:
        async with asyncio.timeout(limits.timeout_s):
            return await _follow(transport(), asked, limits.max_redirects, credential_hosts)
    except (TimeoutError, httpx2.TimeoutException):
        raise HttpTimeout(f"{asked.url.host} did not answer within {limits.timeout_s:g} s.") from None
    except (httpx2.RemoteProtocolError, httpx2.DecodingError) as error:
        raise HttpBadAnswer(f"{asked.url.host} did not answer correctly: {error}.") from None
    except httpx2.ConnectError:
        raise HttpNotConnected(f"{asked.url.host} can not be reached.") from None
    except httpx2.TransportError:
        raise HttpUnreachable(f"{asked.url.host} can not be reached.") from None


def check_hosts(url: str, allowed_hosts: Sequence[str]) -> None:
    """Check that a credential may be sent to `url`: before a library is given both.

    Raises:
        UrlForbidden: this is no address.
        CredentialHostForbidden: it may not.
    """
    _check_place(_parsed(url), allowed_hosts)


def check_headers(headers: Mapping[str, str]) -> None:
    """Check that these headers can be sent.

    Raises:
        HeaderForbidden: one may not be set, or has characters that headers can not hold.
    """
    for name, value in headers.items():
        if name.lower() in CONNECTION_HEADERS or name.lower().startswith("proxy-"):
            raise HeaderForbidden(f"The header {name!r} may not be set.")
        is_name = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        if not (is_name and value.isascii() and value.isprintable()):
            raise HeaderForbidden(
                f"The header {name[:40]!r} can not be sent: it has characters that headers can not hold."
            )


def check_url(url: str) -> None:
    """Check what can be told from the text of an address, before it is kept. Where it leads is checked whenever it is asked.

    Raises:
        UrlForbidden: it may not be asked.
    """
    from agentplatform.lib import outbound

    outbound.check_url(_parsed(url), _allowed)


def client() -> httpx2.AsyncClient:
    """Return a client for a library that brings none of its own checks. It shares the door's connections: do not close it."""
    import httpx2

    # A shared cookie jar would carry one owner's session into another's request.
    no_cookies = CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))
    return httpx2.AsyncClient(transport=transport(), cookies=no_cookies, trust_env=False, follow_redirects=False)


def transport() -> GuardedTransport:
    """Return the transport of the running event loop: connections can not be used on another loop."""
    from agentplatform.lib.outbound import GuardedTransport

    loop = asyncio.get_running_loop()
    with _lock:
        if loop not in _transports:
            _transports[loop] = GuardedTransport(allowed=allowed, max_bytes=Limits().max_bytes)
        return _transports[loop]


async def close() -> None:
    """Close the connections of the running event loop, before it ends."""
    with _lock:
        mine = _transports.pop(asyncio.get_running_loop(), None)
    if mine is not None:
        await mine.aclose()


def preload() -> None:
    """Import what the first request would."""
    import agentplatform.lib.outbound  # noqa: F401


def _request(
    method: str, url: str, headers: Mapping[str, str], params: Mapping[str, Any] | None, body: Any, limits: Limits
) -> httpx2.Request:
    import httpx2

    check_headers(headers)
    address = _parsed(url, params)
    content = {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
    return httpx2.Request(
        method.upper(),
        address,
        headers={"User-Agent": USER_AGENT, "Accept": "*/*", **headers},
        extensions={"max_bytes": limits.max_bytes, "timeout": httpx2.Timeout(limits.timeout_s).as_dict()},
        **content,
    )


def _parsed(url: str, params: Mapping[str, Any] | None = None) -> httpx2.URL:
    import httpx2

    try:
        address = httpx2.URL(url)
        return address.copy_merge_params(dict(params)) if params else address
    except (httpx2.InvalidURL, TypeError, ValueError):
        raise UrlForbidden("This is not a web address.", hint="Write it in full: https://example.com/path.") from None


def _check_place(url: httpx2.URL, allowed_hosts: Sequence[str]) -> None:
    # As the client has read the address: another reader might see another host in it.
    port = url.port or USUAL_PORTS.get(url.scheme, 0)
    check_place(url.raw_host.decode("ascii"), port, allowed_hosts, scheme=url.scheme)


async def _follow(
    way: GuardedTransport, asked: httpx2.Request, max_redirects: int, credential_hosts: Sequence[str] | None
) -> Answer:
    for _ in range(max_redirects + 1):
        response = await way.handle_async_request(asked)
        try:
            target = response.headers.get("location") if response.status_code in (301, 302, 303, 307, 308) else None
            if target is None:
                return Answer(response.status_code, dict(response.headers), await response.aread(), str(asked.url))
        finally:
            await response.aclose()
        asked = _redirected(asked, response.status_code, target)
        if credential_hosts is not None and asked.content:
            _check_place(asked.url, credential_hosts)  # headers are left behind, but a body may hold the key as well
    if max_redirects == 0:
        raise HttpBadAnswer(
            f"It answered {response.status_code} and leads on to another address, which is not followed."
        )
    raise HttpBadAnswer(f"The address leads on more than {max_redirects} times.")


def _redirected(asked: httpx2.Request, status: int, target: str) -> httpx2.Request:
    import httpx2

    try:
        url = asked.url.join(target)
    except (httpx2.InvalidURL, ValueError):
        raise UrlForbidden("The address leads to something that is no address.") from None
    headers = {name: value for name, value in asked.headers.items() if name not in CONNECTION_HEADERS}
    if _origin(url) != _origin(asked.url):
        headers = {name: value for name, value in headers.items() if name in HARMLESS_HEADERS}
    is_repeated = status in (307, 308) or asked.method in ("GET", "HEAD")
    if not is_repeated:
        headers.pop("content-type", None)
    return httpx2.Request(
        asked.method if is_repeated else "GET",
        url,
        headers=headers,
        content=asked.content if is_repeated else None,
        extensions=asked.extensions,
    )


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    # The library drops the port that the scheme implies, so equal origins compare equal.
    return url.scheme, url.host, url.port
