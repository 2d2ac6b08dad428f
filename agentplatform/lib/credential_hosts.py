"""Where a credential may be sent: to the hosts it names, and nowhere else.

An entry is `host` (https on its usual port), `host:port` (that port, whatever is spoken there), or either with `*.` in front for every
name below. An empty list is nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import idna

from agentplatform.lib.http_errors import CredentialHostForbidden

#: The ports that an address means if it names none.
USUAL_PORTS = {"http": 80, "https": 443, "smtp": 587, "smtps": 465}
#: What an entry means that names no port. What is spoken in the clear needs its port named.
USUAL_PORT = 443


def check_place(host: str, port: int, allowed_hosts: Sequence[str], *, scheme: str = "https") -> None:
    """Check that a credential may be sent to `host` (as it is written on the wire) and `port`.

    Raises:
        CredentialHostForbidden: it may not (`CREDENTIAL_HOST_FORBIDDEN`).
    """
    host = host.lower().rstrip(".")
    is_usual = port == USUAL_PORT and scheme == "https"
    for entry in allowed_hosts:
        named, named_port = _parsed(entry.strip().removeprefix("*."))
        is_host = host.endswith(f".{named}") if entry.strip().startswith("*.") else host == named
        if named and is_host and (named_port == port or (named_port is None and is_usual)):
            return
    raise CredentialHostForbidden(f"This credential may not be sent to {host}:{port}.")


def hosts_of(url: str) -> tuple[str, ...]:
    """Return the one place that `url` is at, as the entry of a credential; nothing for what is no address."""
    scheme = url.partition(":")[0].lower()
    host, port = _parsed(url.partition("://")[2])
    if not host or scheme not in USUAL_PORTS:
        return ()
    port = USUAL_PORTS[scheme] if port is None else port
    shown = f"[{host}]" if ":" in host else host
    return (shown,) if scheme == "https" and port == USUAL_PORT else (f"{shown}:{port}",)


def is_entry(text: str) -> bool:
    """Return whether `text` can stand in a credential's list of hosts."""
    host, port = _parsed(text.removeprefix("*."))
    return bool(host) and port != 0 and not set(text.removeprefix("*.")) & set("/?#@ \\%*") and text[-1] != ":"


def _parsed(place: str) -> tuple[str, int | None]:
    """Return host and port of `host:port/…`; no host for what is neither."""
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname or "", parts.port
        if not host.isascii():
            host = idna.encode(host, uts46=True).decode("ascii")
    except (ValueError, UnicodeError):
        return "", None
    return host.lower().rstrip("."), port
