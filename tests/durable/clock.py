"""Time that passes only when it is told to, for the database and for the event loops of workers alike."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any


@dataclass
class Clock:
    """The time of one history, in seconds from its beginning."""

    now: float = 0.0


class _NoFiles:
    """Stands where a loop has its selector: there is nothing outside to wait for."""

    def select(self, timeout: float | None = None) -> list[Any]:
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop that runs by the clock of a history, and only when it is turned."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self._selector = _NoFiles()
        # What a worker leaves behind when it is killed is nobody's fault.
        self.set_exception_handler(lambda loop, context: None)

    def time(self) -> float:
        """Return the time of the history."""
        return self.clock.now

    def turn(self) -> None:
        """Run everything that can run without time going on."""
        while True:
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready:  # type: ignore[attr-defined]
                break

    def _process_events(self, events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps in `select`, so nobody need be woken."""
