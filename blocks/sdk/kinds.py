"""What a block says of itself in one word each: its role, where it runs, what a second run would do."""

from __future__ import annotations

from enum import StrEnum


class BlockType(StrEnum):
    """The role of a block in a graph."""

    STANDARD = "standard"
    #: Its `output` is the execution's input of the same name.
    INPUT = "input"
    #: What reaches its `input` is the execution's output of the same name.
    OUTPUT = "output"
    #: Yields on some of its pins only; what hangs on the others is skipped.
    BRANCHING = "branching"


class Placement(StrEnum):
    """Where a block runs."""

    #: Only computes, in well under a millisecond: fused with its neighbours into one task.
    INLINE = "inline"
    #: Waits for something outside: runs on the worker's event loop, beside many others.
    IO = "io"
    #: Burns CPU: runs on the `cpu` queue, one per process.
    CPU = "cpu"


class Effects(StrEnum):
    """What a second run of the same firing would do to the world."""

    NONE = "none"
    #: Repeating is harmless when the idempotency key is sent along.
    IDEMPOTENT = "idempotent"
    #: Must never be repeated without a person's decision.
    AT_MOST_ONCE = "at_most_once"
