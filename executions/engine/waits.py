"""What a firing can wait for without holding a worker."""

from __future__ import annotations

from enum import StrEnum


class WaitKind(StrEnum):
    """What ends a wait."""

    #: A moment.
    TIMER = "TIMER"
    #: A person who fills in a form.
    APPROVAL = "APPROVAL"
    #: A named event from outside.
    EVENT = "EVENT"
    #: A person who says what became of a firing that was cut short and must not be repeated by itself.
    DECISION = "DECISION"
    #: The end of an execution that the firing has started.
    CHILD = "CHILD"


class WaitStatus(StrEnum):
    """Where a wait stands."""

    OPEN = "OPEN"
    ANSWERED = "ANSWERED"
    TIMED_OUT = "TIMED_OUT"
    #: The execution ended meanwhile.
    CANCELLED = "CANCELLED"
