"""What a process of a worker has to know of itself: whether the worker was asked to stop, and whether it is one of a pool."""

from __future__ import annotations

import mmap

# Heard by the process that gets the signal, known to all it has forked: anonymous memory is shared, if this is imported before.
_flag = mmap.mmap(-1, 1)


def ask() -> None:
    """Ask every process of this worker to take nothing more, and to stop soon."""
    _flag[0] = 1


def is_asked() -> bool:
    """Say whether they were asked."""
    return _flag[0] == 1


_is_pool_process = False


def enter_pool_process() -> None:
    """Note that this process runs one task at a time, and that a parent replaces it if it dies."""
    global _is_pool_process
    _is_pool_process = True


def is_pool_process() -> bool:
    """Say whether it does."""
    return _is_pool_process
