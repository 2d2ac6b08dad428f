"""Resident memory of processes, as the kernel counts it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def own_rss_mb() -> float:
    """Return the memory of this process."""
    return _rss_kb(os.getpid()) / 1024


def family_rss_mb(pid: int) -> float:
    """Return the memory of a process and of all that it has started; pages they share count for each."""
    return sum(map(_rss_kb, _family(pid))) / 1024


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    except OSError:
        return  # it ended while we looked
    for child in children.split():
        yield from _family(int(child))


def _rss_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0  # it ended while we looked
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
