"""Live events as they come in, and from where on to ask again. No network here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Literal, NotRequired, TypedDict, cast

from agentplatform_client import asking
from agentplatform_client.types import LiveEvent

#: With one of these an execution has ended.
ENDS = frozenset({"execution.succeeded", "execution.failed", "execution.cancelled", "execution.budget_exceeded"})
#: So long a stream is taken up again and again although nothing new comes.
PATIENCE_S = 120.0


class Tokens(TypedDict):
    """What a model is just writing: `text` follows what was at `offset` of its `reply`. Told once, stored nowhere."""

    type: Literal["tokens"]
    node: str
    path: list[int]
    attempt: int
    reply: int
    offset: int
    text: str
    id: NotRequired[int]


class Following:
    """One execution that is followed, over as many streams as it takes."""

    def __init__(self, execution: object, after: int) -> None:
        self.path = f"/api/v1/executions/{execution}/events/"
        self.last = after
        self.is_over = False
        self._found: dict[str, str] = {}
        self._rest = b""
        self._pause_s = asking.FIRST_PAUSE_S
        self._news_at = time.monotonic()

    @property
    def headers(self) -> dict[str, str]:
        """Return what the next stream is asked for with."""
        self._found, self._rest = {}, b""
        return {"Accept": "text/event-stream", "Last-Event-ID": str(self.last), "Cache-Control": "no-cache"}

    def hear(self, piece: bytes) -> Iterator[LiveEvent | Tokens]:
        """Take in what has come; yield the events that are complete with it, and were not heard before."""
        # By hand: lines as Python knows them also end at signs that may stand within a text.
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if (event := self._hear(line.decode(errors="replace"))) is not None:
                yield event

    def _hear(self, line: str) -> LiveEvent | Tokens | None:
        if line:
            name, _, value = line.partition(":")
            if name:
                self._found[name] = value.removeprefix(" ")
            return None
        found, self._found = self._found, {}
        if "data" not in found:
            return None
        event = json.loads(found["data"])
        self._pause_s, self._news_at = asking.FIRST_PAUSE_S, time.monotonic()
        if event.get("type") == "tokens":
            return cast(Tokens, event)
        if event["id"] <= self.last:
            return None
        self.last = event["id"]
        self.is_over = event["type"] in ENDS
        return cast(LiveEvent, event)

    def pause_after(self, error: Exception | None) -> float:
        """Return how long to wait before the next stream.

        Raises:
            Exception: the error itself, where it will not pass.
        """
        if error is not None and (not asking.is_gone(error) or time.monotonic() - self._news_at > PATIENCE_S):
            raise error
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, 10.0)
        return pause_s


def is_end(event: Any) -> bool:
    """Say whether an execution has ended with this event."""
    return event["type"] in ENDS
