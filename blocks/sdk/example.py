"""A block's own test: what it is given and what it then gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Example:
    """One input and the pairs that the block yields for it; `...` stands for any value.

    `answers` scripts what the outside world replies, for blocks that ask it: each is one HTTP answer of the test server, in order.
    In `given`, the text `{server}` stands for that server's address. `waits` says what comes for each of its waits, in order, as
    `blocks.sdk.testing.MemoryContext` has it; `sub_graphs` does the same for the graphs that it runs, by their id; and `files` says what is
    in the files that it reads, by theirs.
    """

    given: Mapping[str, Any]
    gives: Sequence[tuple[str, Any]]
    answers: Sequence[Mapping[str, Any]] = field(default=())
    waits: Sequence[Mapping[str, Any]] = field(default=())
    sub_graphs: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
