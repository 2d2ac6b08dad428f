"""The one message workers get: ids only, never values, and a version, so that new code can read old messages."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from executions.engine.compile import Items, Lane, names, numbers
from executions.engine.segments import CPU_QUEUE

logger = logging.getLogger(__name__)

VERSION = 1
TASK = "executions.run_segment"

#: Lanes that share a message: each still runs by itself. What computes may have to be ended with its process, so it shares with nobody.
MAX_LANES, MAX_CPU_LANES = 12, 1
#: What the lanes of a message may weigh, so that with Celery's headers it stays under 2 kB on the wire.
MAX_BYTES = 750
#: Of one lane: the execution's id and the punctuation.
OVERHEAD_BYTES = 60


@dataclass(frozen=True, slots=True)
class Work:
    """A lane of one execution."""

    execution_id: UUID
    lane: Lane


def write(work: Sequence[Work]) -> dict[str, Any]:
    """Return the keyword arguments of a task that does this work, all of it on one queue."""
    return {"version": VERSION, "queue": work[0].lane.queue, "work": [_written(one) for one in work]}


def parcels(work: Sequence[Work]) -> Iterator[list[Work]]:
    """Share out lanes of one queue, those of different executions too, over messages that stay small."""
    parcel: list[Work] = []
    size = 0
    limit = MAX_CPU_LANES if work and work[0].lane.queue == CPU_QUEUE else MAX_LANES
    for one in work:
        weight = len(names(one.lane.segments)) + len(names(one.lane.covered)) + OVERHEAD_BYTES
        if parcel and (size + weight > MAX_BYTES or len(parcel) == limit):
            yield parcel
            parcel, size = [], 0
        parcel.append(one)
        size += weight
    if parcel:
        yield parcel


def read(*, version: int, work: Sequence[Sequence[Any]] = (), queue: str = "", **_: object) -> list[Work]:
    """Return the work that a message names; none where a later release has sent it, as reconcile sends it again.

    Raises:
        ValueError: it is not such a message.
    """
    if version > VERSION:
        logger.warning("A message of version %s was left alone: this worker reads up to %s", version, VERSION)
        return []
    return [
        Work(
            UUID(execution_id),
            Lane(queue, tuple(numbers(segments)), tuple(numbers(covered)), Items(*items) if items else None),
        )
        for execution_id, segments, covered, items in work
    ]


def _written(work: Work) -> list[Any]:
    lane = work.lane
    items = [lane.items.node, lane.items.start, lane.items.stop] if lane.items else None
    return [str(work.execution_id), names(lane.segments), names(lane.covered), items]
