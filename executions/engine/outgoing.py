"""What is told to those who subscribe: the events, and after how long one that was not heard is told again. Pure."""

from __future__ import annotations

from enum import StrEnum
from math import isfinite

#: Of the pauses between attempts: the first, by how much each is longer than the one before, and the longest. The jitter goes both ways.
FIRST_S, FACTOR, LONGEST_S, JITTER = 5.0, 4.0, 8 * 3600.0, 0.2
#: More than anybody may ask for: until then all is given up.
MOST_ASKED_S = 30 * 86_400.0


class OutgoingEvent(StrEnum):
    """What may be told. The database's own triggers make these names."""

    EXECUTION_STARTED = "execution.started"
    EXECUTION_SUCCEEDED = "execution.succeeded"
    EXECUTION_FAILED = "execution.failed"
    EXECUTION_CANCELLED = "execution.cancelled"
    EXECUTION_BUDGET_EXCEEDED = "execution.budget_exceeded"
    #: Somebody is asked.
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_ANSWERED = "approval.answered"
    APPROVAL_TIMED_OUT = "approval.timed_out"
    #: The execution has ended meanwhile.
    APPROVAL_CANCELLED = "approval.cancelled"
    #: Somebody has to say what became of a firing that was cut short and must not be repeated by itself.
    DECISION_REQUESTED = "decision.requested"
    DECISION_ANSWERED = "decision.answered"
    DECISION_TIMED_OUT = "decision.timed_out"
    DECISION_CANCELLED = "decision.cancelled"


#: What is sent to see whether somebody listens.
PING = "ping"
KINDS = tuple(dict.fromkeys(event.partition(".")[0] for event in OutgoingEvent))


def is_known(event: str) -> bool:
    """Say whether something can be subscribed to: an event, or all of a kind."""
    return event in KINDS or event in set(OutgoingEvent)


def next_pause(tries: int, *, chance: float, retry_after_s: float | None = None) -> float:
    """Return how many seconds after the so-many-th try (the first is 1) the next one comes.

    `chance`, from 0 to below 1, places it within the jitter. What the other side asked for (`Retry-After`) is a minimum, and the
    jitter comes on top of it, so that not all who were told the same come back at once.
    """
    # No higher power than it takes to be the longest: a float has an end.
    pause = min(FIRST_S * FACTOR ** min(tries - 1, 20), LONGEST_S)
    pause *= 1 + JITTER * (2 * chance - 1)
    if retry_after_s is None or not retry_after_s > 0 or not isfinite(retry_after_s):
        return pause
    return max(pause, min(retry_after_s, MOST_ASKED_S) * (1 + JITTER * chance))
