"""Time-ordered ids: the id of a row is also the time it was born, so tables are partitioned by it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import uuid_utils.compat


def uuid7() -> UUID:
    """Return a new UUID of version 7 (RFC 9562): 48 bits of milliseconds, then randomness."""
    return uuid_utils.compat.uuid7()


def first_id_at(moment: datetime) -> UUID:
    """Return the smallest id that can be born at `moment`: the lower bound of a partition."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
