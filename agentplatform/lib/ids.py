"""Time-ordered ids: the id of a row is also the time it was born, so tables are partitioned by it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat


def uuid7() -> UUID:
    """Return a new UUID of version 7 (RFC 9562): 48 bits of milliseconds, then randomness."""
    return uuid_utils.compat.uuid7()


def born_at(id_: UUID) -> datetime:
    """Return the moment a version 7 id was made, to the millisecond, in UTC."""
    return datetime.fromtimestamp((id_.int >> 80) / 1000, tz=UTC)


def first_id_at(moment: datetime) -> UUID:
    """Return the smallest id that can be born at `moment`: the lower bound of a partition."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
