"""What an id tells of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID


def born_at(id_: UUID) -> datetime:
    """Return the moment a version 7 id was made, to the millisecond, in UTC."""
    return datetime.fromtimestamp((id_.int >> 80) / 1000, tz=UTC)
