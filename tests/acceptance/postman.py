"""A messenger that delivers everything several times, as a broker is allowed to."""

from __future__ import annotations

import json
import threading
from types import TracebackType
from typing import Any
from uuid import uuid4

import redis

QUEUES = ("default", "cpu")


class Postman:
    """Carries each message from the broker it was sent to, to the one where workers wait: `copies` times."""

    def __init__(self, source_url: str, target_url: str, *, copies: int) -> None:
        self.source = redis.Redis.from_url(source_url)
        self.target = redis.Redis.from_url(target_url)
        self.copies = copies
        self.delivered = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="postman", daemon=True)

    def __enter__(self) -> Postman:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self.source.close()
        self.target.close()

    def _carry(self) -> None:
        while not self._is_over.is_set():
            taken: Any = self.source.brpop(list(QUEUES), timeout=1)
            if taken is None:
                continue
            queue, payload = taken
            message = json.loads(payload)
            for _ in range(self.copies):
                # What tells deliveries of one message apart is the broker's own mark.
                message["properties"]["delivery_tag"] = str(uuid4())
                self.target.lpush(queue, json.dumps(message))
                self.delivered += 1
