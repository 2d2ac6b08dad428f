"""What a rate limiter costs where nobody has to wait: getting in and out beside a bare round trip to Redis, in this process."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from benchmarks.cases import Case


class Limiting:
    """Goes in and out of a limiter, so many times, one after the other."""

    name = "ours"

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._loop = asyncio.new_event_loop()

    def prepare(self, case: Case) -> None:
        """Say where limits are kept."""
        from integrations import turns

        turns.configure(redis_url=self._redis_url)

    def run_once(self, case: Case) -> None:
        """Get in and out."""
        self._loop.run_until_complete(self._come_and_go(case.size))

    async def _come_and_go(self, count: int) -> None:
        from integrations.ratelimit import RateLimiter

        limiter = RateLimiter(5, 100_000, burst=count, key="bench")
        for _ in range(count):
            async with limiter:
                pass

    def verify(self, case: Case) -> None:
        """There is nothing to verify: whoever is not let in never comes out."""

    def rss_mb(self) -> float:
        """Return nothing: there is no process besides this one."""
        return 0.0

    def close(self) -> None:
        """End the loop."""
        self._loop.close()


class RoundTrips(Limiting):
    """Asks Redis for a key that is not there, as often."""

    name = "baseline"

    async def _come_and_go(self, count: int) -> None:
        async with Redis.from_url(self._redis_url) as redis:
            # In and out is two of them.
            for _ in range(2 * count):
                await redis.get("bench")
