"""A messenger that may do what a broker may: deliver twice, late, in any order, and again long after."""

from __future__ import annotations

import json
import random
import time
from typing import Any
from uuid import uuid4

from tests.acceptance.postman import QUEUES, Postman


class Courier(Postman):
    """Carries each message `copies` times, and each copy up to `late_s` late."""

    def __init__(self, source_url: str, target_url: str, *, copies: int, late_s: float, seed: int) -> None:
        super().__init__(source_url, target_url, copies=copies)
        self.late_s = late_s
        self.chance = random.Random(seed)
        self.carried: list[tuple[str, bytes]] = []
        self._bag: list[tuple[float, str, bytes]] = []

    def deliver_again(self) -> int:
        """Deliver everything once more that was ever delivered. Return how much that was."""
        for queue, payload in list(self.carried):
            self._deliver(queue, payload)
        return len(self.carried)

    def _carry(self) -> None:
        while not self._is_over.is_set():
            taken: Any = self.source.brpop(list(QUEUES), timeout=0.05)
            now = time.monotonic()
            if taken is not None:
                queue, payload = taken[0].decode(), taken[1]
                self.carried.append((queue, payload))
                self._bag += [(now + self.chance.uniform(0, self.late_s), queue, payload) for _ in range(self.copies)]
            due = [one for one in self._bag if one[0] <= now]
            self._bag = [one for one in self._bag if one[0] > now]
            self.chance.shuffle(due)
            for _, queue, payload in due:
                self._deliver(queue, payload)

    def _deliver(self, queue: str, payload: bytes) -> None:
        message = json.loads(payload)
        # What tells deliveries of one message apart is the broker's own mark.
        message["properties"]["delivery_tag"] = str(uuid4())
        self.target.lpush(queue, json.dumps(message))
        self.delivered += 1
