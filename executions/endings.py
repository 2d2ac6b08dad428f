"""What the end of executions sets free: those that started them, and those that wait in line."""

from __future__ import annotations

from collections.abc import Iterable

from executions.batch import Settled


def follow_up(settled: Iterable[Settled | Exception]) -> None:
    """Let go on what waited for these ends. What is missed here, reconcile finds."""
