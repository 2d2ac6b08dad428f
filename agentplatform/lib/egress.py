"""Where what runs just now may ask at all: a graph may say so, and neither its blocks nor what they were told to read lead elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from agentplatform.lib import credential_hosts
from agentplatform.lib.http_errors import CredentialHostForbidden, UrlForbidden

#: As `host` or `host:port`, like those of a credential; None: anywhere that may be asked at all.
_only: ContextVar[Sequence[str] | None] = ContextVar("_only", default=None)


class EgressForbidden(UrlForbidden):
    """This graph may not ask there."""

    code = "EGRESS_FORBIDDEN"
    status = 403
    hint = "Its `allowed_hosts` name every place that its blocks may ask. If this is one that you mean, add it there."


@contextmanager
def only(hosts: Sequence[str] | None) -> Iterator[None]:
    """Let what runs inside ask these hosts and no others; None lifts that."""
    token = _only.set(hosts)
    try:
        yield
    finally:
        _only.reset(token)


def check(host: str, port: int) -> None:
    """Check that what runs just now may ask a place.

    Raises:
        EgressForbidden: it may not.
    """
    hosts = _only.get()
    if hosts is None:
        return
    try:
        credential_hosts.check_place(host, port, hosts)
    except CredentialHostForbidden:
        raise EgressForbidden(f"This graph may not ask {host}:{port}.") from None
