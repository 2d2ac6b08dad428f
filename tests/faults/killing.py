"""Kills the only worker again and again, and measures until another has taken over."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from statistics import median

from tests.faults.load import Load
from tests.faults.shapes import make_one
from tests.faults.sound import problems
from tests.faults.stack import Stack

WITHIN_S = 120.0


def measure(stack: Stack, kills: int, *, say: Callable[[str], None] = print) -> list[float]:
    """Kill the only worker while it runs something, start the next at once, and return how long each take-over took."""
    load, shape = Load(stack), make_one()
    took_s: list[float] = []
    worker = stack.worker("worker0")
    worker.wait()
    for number in range(kills):
        with stack.sink.holding():
            (execution_id,) = load.begin(shape)
            stack.sink.wait_for(1, ids=[execution_id], within_s=WITHIN_S)
            # At any point between two heartbeats, and between two looks of reconcile.
            time.sleep(random.uniform(0, 5))
            worker.kill9()
            killed_at = time.monotonic()
            worker = stack.worker(f"worker{number + 1}")
            stack.sink.wait_for(2, ids=[execution_id], within_s=WITHIN_S)
            took_s.append(time.monotonic() - killed_at)
        say(f"{number + 1:3}: {took_s[-1]:.1f} s")
        load.wait()
    for wrong in problems(load):
        say(wrong)
    say(f"{kills} kills: median {median(took_s):.1f} s, at least {min(took_s):.1f} s, at most {max(took_s):.1f} s")
    return took_s
