"""Opening connections by hand, for what does not speak HTTP: to the same places as `lib.http`, and no others.

A name is resolved once, all its addresses must be public, and the connection goes to an address that was checked.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from agentplatform.lib import egress
from agentplatform.lib.addresses import Address, AllowedHosts, is_inside_name, is_public, parse_literal
from agentplatform.lib.http_errors import HttpUnreachable, UrlForbidden

#: Below this number live the services of a system: databases of old, shells. Of them, only those named are asked.
FIRST_FREE_PORT = 1024
LAST_PORT = 65_535

Resolve = Callable[[str, int], Awaitable[list[Address]]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def resolve(host: str, port: int) -> list[Address]:
    """Return every address of `host`, in the order in which the system would try them."""
    literal = parse_literal(host)
    if literal is not None:
        return [literal]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(str(place[0]).partition("%")[0]) for *_, place in found]


def check_place(host: str, port: int, allowed: AllowedHosts, *, system_ports: frozenset[int]) -> None:
    """Check what can be told from the text of a place; where its name leads is checked when connecting.

    Raises:
        UrlForbidden: it may not be asked.
        EgressForbidden: it may not be asked by what runs just now.
    """
    if not host or "%" in host:
        raise UrlForbidden("The address names no host.")
    if not 0 < port <= LAST_PORT:
        raise UrlForbidden(f"There is no port {port}.")
    egress.check(host, port)
    if (host, port) in allowed:
        return
    if port < FIRST_FREE_PORT and port not in system_ports:
        raise UrlForbidden(f"Port {port} may not be asked.")
    literal = parse_literal(host)
    if not is_public(literal) if literal else is_inside_name(host):
        raise _inside(host)


async def checked_addresses(
    host: str, port: int, allowed: AllowedHosts, *, resolve: Resolve = resolve
) -> list[Address]:
    """Return the addresses of `host`, all of which may be asked; nothing if it has none.

    Raises:
        UrlForbidden: one of them may not be asked.
        OSError, UnicodeError: the name can not be looked up.
    """
    addresses = await resolve(host, port)
    # One private address among public ones is enough: the next connection might go there.
    if (host, port) not in allowed and not all(map(is_public, addresses)):
        raise _inside(host)
    return addresses


async def open_streams(
    host: str,
    port: int,
    allowed: AllowedHosts,
    *,
    system_ports: frozenset[int],
    tls: ssl.SSLContext | None = None,
    resolve: Resolve = resolve,
) -> Streams:
    """Connect to `host`, with `tls` for that name if given. The caller sets the deadline, and closes.

    Raises:
        UrlForbidden: the place may not be asked.
        HttpUnreachable: it can not be.
        ssl.SSLError: it can not prove to be `host`.
    """
    check_place(host, port, allowed, system_ports=system_ports)
    try:
        addresses = await checked_addresses(host, port, allowed, resolve=resolve)
    except (OSError, UnicodeError):
        raise HttpUnreachable(f"{host} can not be looked up.") from None
    for address in addresses:
        try:
            return await asyncio.open_connection(str(address), port, ssl=tls, server_hostname=host if tls else None)
        except ssl.SSLError:
            raise
        except OSError:
            continue  # the next address of the same name
    raise HttpUnreachable(f"{host} can not be reached.")


def _inside(host: str) -> UrlForbidden:
    # The same words whatever the reason: they must not tell what the network inside looks like.
    return UrlForbidden(f"{host} is not on the public internet.")
