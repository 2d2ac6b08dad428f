"""What a test of whole systems asks at its end: do the platform's own invariants hold?"""

from __future__ import annotations

from executions.invariants import SKEW_S, check


def assert_invariants_hold(*, grace_s: float | None = 0.0, skew_s: float = 0.1) -> None:
    """Find nothing wrong in the whole database.

    By default it stands still, and all clocks are that of one machine; while things move, give None for the platform's own grace.
    """
    broken = check(grace_s=grace_s, skew_s=SKEW_S if grace_s is None else skew_s)

    assert broken == [], "\n".join(map(str, broken))
