"""Where what runs just now may ask at all: a graph may say so, and neither its blocks nor what they were told to read lead elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from agentplatform.lib import credential_hosts
from agentplatform.lib.http_errors import CredentialHostForbidden, UrlForbidden

#: Lists of `host` or `host:port`, like those of a credential: a place must be in each. No list: anywhere that may be asked at all.
_only: ContextVar[Sequence[Sequence[str]]] = ContextVar("_only", default=())


class EgressForbidden(UrlForbidden):
    """This graph may not ask there."""

    code = "EGRESS_FORBIDDEN"
    status = 403
    hint = "Its `allowed_hosts`, and those of the graphs that run it, name what its blocks may ask. Add it if you mean this place."


@contextmanager
def only(lists: Sequence[Sequence[str]]) -> Iterator[None]:
    """Let what runs inside ask hosts that are in each of these lists and no others; without a list, that is lifted."""
    token = _only.set(lists)
    try:
        yield
    finally:
        _only.reset(token)


def check(host: str, port: int) -> None:
    """Check that what runs just now may ask a place.

    Raises:
        EgressForbidden: it may not.
    """
    for hosts in _only.get():
        try:
            credential_hosts.check_place(host, port, hosts)
        except CredentialHostForbidden:
            raise EgressForbidden(f"This graph may not ask {host}:{port}.") from None
