"""A process of many who wait at one limiter; takes the address of Redis and what is asked as JSON, prints `in N` and `out N`."""

from __future__ import annotations

import asyncio
import json
import sys

from integrations import turns
from integrations.ratelimit import RateLimiter


async def come(number: int, limiter: RateLimiter, *, stays_s: float) -> None:
    """Go in once, stay for a while, go out."""
    async with limiter:
        print("in", number, flush=True)
        await asyncio.sleep(stays_s)
    print("out", number, flush=True)


async def come_all(*, count: int, stays_s: float, **limits: float) -> None:
    """Let all of them come at once."""
    limiter = RateLimiter(**limits)  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as herd:
        for number in range(count):
            herd.create_task(come(number, limiter, stays_s=stays_s))


if __name__ == "__main__":
    turns.configure(redis_url=sys.argv[1])
    asyncio.run(come_all(**json.loads(sys.argv[2])))
