"""The connection to Redis by which web processes count together what is asked of them."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from redis import Redis

TIMEOUT_S = 0.5


@cache
def shared() -> Redis:
    """Return the connection of this process."""
    return Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
