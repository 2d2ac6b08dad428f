"""Run the systems in turn and take medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.cases import Case
from benchmarks.system import System

WARM_UPS = 2
#: What a system still does after its result is out should not fall into the next one's time.
PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """The times of one case, in milliseconds by system, one for each round."""

    case: Case
    times_ms: dict[str, list[float]]

    def median_ms(self, system: str) -> float | None:
        """Return the median time of a system, or None if it was left out."""
        times = self.times_ms.get(system)
        return statistics.median(times) if times else None

    @property
    def ratio(self) -> float | None:
        """Return our time over the hand-written app's."""
        ours, baseline = self.median_ms("ours"), self.median_ms("baseline")
        return ours / baseline if ours is not None and baseline is not None else None

    @property
    def is_met(self) -> bool | None:
        """Return whether the case is within its bar; None without a bar or a measurement."""
        ours = self.median_ms("ours")
        if self.case.ms_bar is not None and ours is not None:
            return ours <= self.case.ms_bar
        if self.case.ratio_bar is not None and self.ratio is not None:
            return self.ratio <= self.case.ratio_bar
        return None


def measure(case: Case, systems: Sequence[System], *, rounds: int, say: Callable[[str], None]) -> Measured:
    """Measure one case: every system once in each round, a different one first each time."""
    for system in systems:
        say(f"{case.name}: warming up {system.name}")
        system.prepare(case)
        for _ in range(1 if case.executions > 1 else WARM_UPS):
            _time_ms(case, system)
    times_ms: dict[str, list[float]] = {system.name: [] for system in systems}
    for number in range(rounds):
        say(f"{case.name}: round {number + 1} of {rounds}")
        first = number % len(systems)
        for system in [*systems[first:], *systems[:first]]:
            times_ms[system.name].append(_time_ms(case, system))
    return Measured(case, times_ms)


def _time_ms(case: Case, system: System) -> float:
    started = time.perf_counter()
    system.run_once(case)
    took_ms = (time.perf_counter() - started) * 1000
    system.verify(case)
    time.sleep(PAUSE_S)
    return took_ms
