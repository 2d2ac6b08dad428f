"""What is measured: shapes, sizes, rounds and bars."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Shape = Literal["chain", "fan", "diamond", "resume", "loop", "settle", "limit", "deliver", "start"]
Work = Literal["noop", "fibo", "wait"]

WAIT_S = 0.2
FIBO_N = 10
FIBO_VALUE = 55


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table: the same work, asked of every system."""

    name: str
    shape: Shape
    size: int
    work: Work = "noop"
    executions: int = 1
    #: At most this share of the hand-written app's time; None is a row without a bar.
    ratio_bar: float | None = None
    #: At most this many milliseconds, whatever the others take.
    ms_bar: float | None = None
    rounds_quick: int = 3
    rounds_full: int = 7
    #: Our graph has a node for each branch, instead of one node that fires for each item.
    static_nodes: bool = False
    #: The hand-written app packs so many items into a task: no longer the same shape, yet what one would do for speed.
    chunk: int = 1
    #: How long each wait takes, where the work is to wait.
    wait_s: float = WAIT_S
    #: Neither the hand-written app nor the floor can do it, or not in a way that compares.
    is_ours_only: bool = False

    @property
    def expected(self) -> int:
        """Return the result of one execution that starts from 0: the items joined, or the last value of a chain."""
        if self.shape not in ("chain", "resume"):
            return self.size
        return self.size * FIBO_VALUE if self.work == "fibo" else 0

    @property
    def is_in_process(self) -> bool:
        """Return whether it compares two ways of one step, which the process that measures asks for, and no systems."""
        return self.shape in ("settle", "limit", "deliver", "start")

    @property
    def is_reported_only(self) -> bool:
        """Return whether the row is shown for comparison and kept out of the JSON."""
        return self.static_nodes or self.chunk > 1

    def systems(self, names: Iterable[str]) -> list[str]:
        """Return those of the systems that take part."""
        return [name for name in names if name == "ours" or not self.is_ours_only]


CASES = (
    Case("chain10", "chain", 10, ratio_bar=0.25),
    Case("fan100", "fan", 100, ratio_bar=0.08),
    Case("fan1000", "fan", 1000, ratio_bar=0.08),
    Case("diamond500", "diamond", 3, executions=500, ratio_bar=0.3, rounds_quick=1, rounds_full=3),
    Case("wait100", "fan", 100, work="wait", ms_bar=1.3 * WAIT_S * 1000),
    Case("fibo40", "chain", 40, work="fibo", ratio_bar=0.12),
    Case("fan100_nodes", "fan", 100, static_nodes=True),
    Case("wait100_nodes", "fan", 100, work="wait", static_nodes=True),
    Case("fan1000_chunks", "fan", 1000, chunk=50),
    Case("map1000", "fan", 1000, work="wait", wait_s=0.05, is_ours_only=True),
    Case("resume200", "resume", 200, is_ours_only=True),
    Case("sub_graphs100", "loop", 100, is_ours_only=True),
    Case("starts500", "start", 500, ratio_bar=2.0),
    Case("webhooks500", "deliver", 500, ratio_bar=2.0),
    Case("settle1", "settle", 1, work="wait", ratio_bar=1.3),
    Case("settle20", "settle", 20, work="wait", ratio_bar=1.3),
    Case("limiter200", "limit", 200),
)


def case_named(name: str) -> Case:
    """Return the case of that name.

    Raises:
        KeyError: there is none.
    """
    return {case.name: case for case in CASES}[name]
