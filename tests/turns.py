"""The turns that limiters give, as the server notes them that counts them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import redis


@contextmanager
def watched(redis_url: str) -> Iterator[list[float]]:
    """Note each turn that the server gives, by its own clock."""
    turns_at: list[float] = []
    server = redis.Redis.from_url(redis_url, socket_timeout=None)
    monitor = server.monitor().__enter__()

    def listen() -> None:
        try:
            for command in monitor.listen():
                if command["command"].startswith("SET limit:"):
                    turns_at.append(command["time"])
        except (redis.RedisError, ValueError, OSError):
            return  # the test is over

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    yield turns_at
    monitor.connection.disconnect()
    server.close()
    listener.join(5)


def most_in(moments: list[float], window_s: float) -> int:
    """Return how many of these moments lie in one window, wherever it begins."""
    moments = sorted(moments)
    return max(sum(begin <= moment < begin + window_s for moment in moments) for begin in moments)
