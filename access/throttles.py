"""How much may be asked in a minute: by one key, and by all that one owner has. Counted in Redis, for all web processes."""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings
from redis import Redis
from redis.commands.core import Script
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from access.counting import shared
from access.models import ApiKey

if TYPE_CHECKING:
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)

WINDOW_S = 60
#: One command for what an owner and a key ask: each request is counted.
COUNT = """
local counts = {}
for place, key in ipairs(KEYS) do
    counts[place] = redis.call('INCR', key)
    if counts[place] == 1 then
        redis.call('EXPIRE', key, ARGV[1])
    end
end
return counts
"""


class PerMinute(BaseThrottle):
    """Counts what an owner asks in each minute, and what each key does. Nobody is kept out because Redis is away."""

    _left_s: float = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Say whether it may be asked; the answer will say how much is left."""
        limit = settings.AGENTPLATFORM_REQUESTS_PER_MINUTE
        if not limit or not request.user or request.user.pk is None:
            return True
        minute, elapsed_s = divmod(time.time(), WINDOW_S)
        self._left_s = WINDOW_S - elapsed_s
        names = [f"owner-{request.user.pk}"]
        if isinstance(request.auth, ApiKey):
            names.append(f"key-{request.auth.pk}")
        try:
            counts = _count([f"requests:{name}:{int(minute)}" for name in names])
        except (RedisError, OSError):
            logger.warning("Requests are not counted: Redis does not answer")
            return True
        # All keys of an owner together may ask for more than one of them.
        limits = [limit * settings.AGENTPLATFORM_REQUESTS_OF_OWNER_FACTOR, limit][: len(counts)]
        left, of = min((most - count, most) for count, most in zip(counts, limits, strict=True))
        request._request.rate_headers = {  # type: ignore[attr-defined]
            "RateLimit-Limit": str(of),
            "RateLimit-Remaining": str(max(0, left)),
            "RateLimit-Reset": str(round(self._left_s)),
        }
        return left >= 0

    def wait(self) -> float:
        """Return after how many seconds more may be asked."""
        return self._left_s


def _count(keys: list[str]) -> list[int]:
    answer: list[int] = _counting(shared())(keys=keys, args=[2 * WINDOW_S])
    return answer


@cache
def _counting(server: Redis) -> Script:
    return server.register_script(COUNT)
