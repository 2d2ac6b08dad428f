"""The current time, in one place, so that a test can hold the clock still."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current moment, aware, in UTC."""
    return datetime.now(tz=UTC)
