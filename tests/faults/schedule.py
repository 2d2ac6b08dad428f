"""Which fault strikes when: a plain function of the seed, so that the same seed gives the same schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

#: How often a kind strikes, next to the others; and for how long at least and at most, where it lasts.
KINDS: dict[str, tuple[int, tuple[float, float]]] = {
    "kill worker": (8, (0, 0)),
    "kill both workers": (2, (0, 0)),
    "kill pool process": (6, (0, 0)),
    "kill beat": (2, (0, 0)),
    "kill web": (2, (0, 0)),
    "die at failpoint": (10, (0, 0)),
    "freeze worker": (5, (1.0, 6.0)),
    "terminate worker": (4, (0, 0)),
    "restart broker": (3, (0.2, 3.0)),
    "lose broker": (3, (0.2, 3.0)),
    "flush broker": (2, (0, 0)),
    "crash database": (4, (0.0, 2.0)),
    "blackhole database": (4, (0.5, 6.0)),
    "half-open database": (3, (0.5, 6.0)),
    "slow database": (2, (1.0, 5.0)),
    "reset database": (4, (0, 0)),
    "lose commit's answer": (6, (0, 0)),
    "cut database": (4, (0, 0)),
    "blackhole broker": (3, (0.5, 6.0)),
    "half-open broker": (3, (0.5, 6.0)),
    "refuse broker": (2, (0.5, 4.0)),
    "reset broker": (4, (0, 0)),
}
#: Between two faults.
GAP_S = (1.0, 6.0)
#: Workers of both queues, by number: the last is the one that computes.
WORKERS = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when, what, which worker it is about, for how long, and a number for whatever else is left to chance."""

    at_s: float
    kind: str
    worker: int
    lasts_s: float
    number: int

    def __str__(self) -> str:
        lasting = f" for {self.lasts_s:.1f} s" if self.lasts_s else ""
        return f"{self.at_s:7.1f} s  {self.kind}{lasting} ({self.worker}, {self.number})"


def make_schedule(seed: int, *, duration_s: float, without: Sequence[str] = ()) -> list[Fault]:
    """Return the faults of a run."""
    chance = Random(seed)
    kinds = [kind for kind in KINDS if kind not in without]
    weights = [KINDS[kind][0] for kind in kinds]
    faults: list[Fault] = []
    at_s = chance.uniform(*GAP_S)
    while at_s < duration_s:
        (kind,) = chance.choices(kinds, weights)
        lasts_s = round(chance.uniform(*KINDS[kind][1]), 1)
        faults.append(Fault(round(at_s, 1), kind, chance.randrange(WORKERS), lasts_s, chance.randrange(1_000_000)))
        at_s += chance.uniform(*GAP_S)
    return faults
