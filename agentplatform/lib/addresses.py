"""Which network addresses the outside world may be: everything public, nothing else, and what the operator allows by name."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Beyond what Python calls not global: addresses that lead inside, or that carry another address.
_REFUSED: tuple[Network, ...] = (
    IPv4Network("168.63.129.16/32"),  # the host of an Azure machine: a public address that answers inside only
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)
_NAT64 = IPv6Network("64:ff9b::/96")
_IPV6_UNICAST = IPv6Network("2000::/3")

#: Names that mean "inside" by convention, whatever they resolve to today.
_INSIDE_SUFFIXES = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home.arpa", "corp", "home")


def is_public(address: Address) -> bool:
    """Return whether `address`, and the address inside it if it carries one, belongs to the public internet."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(address.packed[-4:]))
        if address not in _IPV6_UNICAST:
            return False
    if address.is_multicast or not address.is_global:
        return False
    return not any(address.version == network.version and address in network for network in _REFUSED)


def parse_literal(host: str) -> Address | None:
    """Return the address that `host` writes in numbers, also in the old ways (`2130706433`, `0x7f.1`), or None for a name."""
    host = host.removesuffix(".")
    try:
        return ip_address(host.partition("%")[0] if ":" in host else host)
    except ValueError:
        pass  # not written in the usual way
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def is_inside_name(host: str) -> bool:
    """Return whether `host` is a name that only means something inside a network."""
    name = host.lower().rstrip(".")
    return "." not in name or name.endswith(tuple(f".{suffix}" for suffix in _INSIDE_SUFFIXES))


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The hosts that may be private: `host` on any port, or `host:port`."""

    entries: frozenset[tuple[str, int | None]] = frozenset()

    @classmethod
    def parse(cls, texts: list[str] | tuple[str, ...]) -> Self:
        """Read entries like `llm.internal`, `127.0.0.1:8080`, `[::1]:8080`.

        Raises:
            ValueError: an entry is neither.
        """
        return cls(frozenset(_parse_entry(text) for text in texts if text.strip()))

    def __contains__(self, place: tuple[str, int]) -> bool:
        host, port = place[0].lower().rstrip("."), place[1]
        return (host, None) in self.entries or (host, port) in self.entries


def _parse_entry(text: str) -> tuple[str, int | None]:
    text = text.strip().lower()
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") > 1:
        host, port = text, ""
    else:
        host, _, port = text.partition(":")
    if not host or "/" in host or not (port.isdecimal() or port == ""):
        raise ValueError(f"{text!r} is not a host that may be private: write `host` or `host:port`.")
    return host.rstrip("."), int(port) if port else None
