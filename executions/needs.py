"""What a lane asks of the thread that drives it, and what it is told."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum, auto
from queue import SimpleQueue
from typing import Any, Protocol


class Needs(Enum):
    """What a lane needs before it can go on."""

    #: Of a `Work`: its snapshot.
    LOOK = auto()
    #: Of an execution's id and wanted firings: the claims that were granted.
    CLAIMS = auto()
    #: Of a batch: where the execution stands once it is written.
    SETTLED = auto()
    #: Of a listener: that something has happened to it elsewhere; to a lane's run, that one of its firings on the event loop has ended.
    NEWS = auto()
    #: Of a call: the sub-graph it has started, now or before.
    CHILDREN = auto()
    #: Of a sub-graph's id: where it stands.
    STATES = auto()
    #: Of a firing: that the sub-graphs it has started are told to stop.
    STOP = auto()
    #: Of a firing: what they have cost.
    COSTS = auto()


@dataclass(frozen=True, slots=True)
class Request:
    """A need of a lane, and what it is about."""

    needs: Needs
    value: Any


#: A lane under way: it yields what it needs and is sent the answer.
Steps = Generator[Request, Any, None]


class Listener(Protocol):
    """Whoever hears of what happened elsewhere."""

    def hear(self, news: Any) -> None:
        """Take it in. Called on the thread that drives."""
        ...


class Unsettled(Enum):
    """Of a firing that has ended and is not settled here."""

    HERE = auto()


#: What the thread that drives a lane is told: how a firing on the event loop ended, or only that it should look up.
Inbox = SimpleQueue[tuple[Listener, Any]]
