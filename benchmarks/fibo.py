"""The small computation of the `fibo40` case, the same code for every system."""

from __future__ import annotations


def fibo(n: int) -> int:
    """Return the n-th Fibonacci number the slow way."""
    return n if n < 2 else fibo(n - 1) + fibo(n - 2)
