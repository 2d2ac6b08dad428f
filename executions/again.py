"""Try again what the database has broken off because somebody else was in the way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError
from psycopg.errors import DeadlockDetected, SerializationFailure

T = TypeVar("T")

TRIES = 6
SHORTEST_PAUSE_S = 0.01


def if_locked(call: Callable[[], T]) -> T:
    """Call, and up to five times again after a growing pause while the database breaks a circle of locks, or an order that could not be.

    Raises:
        django.db.OperationalError: it did so each time, or something else is the matter.
    """
    for number in range(TRIES - 1):
        try:
            return call()
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected | SerializationFailure):
                raise
        time.sleep(SHORTEST_PAUSE_S * 2**number * random.uniform(0.5, 1.5))  # noqa: S311
    return call()
