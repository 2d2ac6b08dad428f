"""Kombu's Redis transport, with one client per channel instead of a new one for every command.

Making a client costs 0.4 ms, three times for each message: on publishing, on receiving and on acknowledging.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis


class Channel(redis.Channel):
    """A channel that makes its client once; clients share the pool and may be used from any thread."""

    _kept_client: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        create = super()._create_client  # type: ignore[misc]  # missing from the stubs
        if asynchronous:
            return create(asynchronous=True)
        if self._kept_client is None:
            self._kept_client = create()
        return self._kept_client


class Transport(redis.Transport):
    """The transport behind `redis://` addresses."""

    Channel = Channel


def install() -> None:
    """Use it wherever this process speaks to `redis://`."""
    TRANSPORT_ALIASES["redis"] = f"{__name__}:Transport"
