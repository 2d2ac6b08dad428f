"""When something is due next: by cron, by an interval, or once; in the zone of whoever wants it, across changes of its clocks.

A local time that a change of clocks skips is due at the first moment after the gap; one that comes twice is due the first time. What
means every hour goes by how much time has passed: it loses no hour and doubles none. The clock comes in as an argument.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from executions.engine.cron import Cron

#: February 29 on a certain day of the week comes after 40 years at the most; what does not come by then never does.
LONGEST_SEARCH = timedelta(days=50 * 366)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


class ScheduleKind(StrEnum):
    """By what a schedule goes."""

    CRON = "cron"
    INTERVAL = "interval"
    ONCE = "once"


@dataclass(frozen=True, slots=True)
class Timing:
    """When something is due: of the three, the one that its kind says."""

    kind: ScheduleKind
    zone: ZoneInfo
    cron: Cron | None = None
    every: timedelta | None = None
    #: The one time of `once`; of an interval, the time that it counts from.
    at: datetime | None = None


def next_fire(timing: Timing, after: datetime) -> datetime | None:
    """Return the first moment after another at which it is due, in UTC; None if there is none."""
    if timing.kind is ScheduleKind.CRON and timing.cron:
        return (
            _next_hourly(timing.cron, timing.zone, after)
            if timing.cron.is_hourly
            else _next_local(timing.cron, timing.zone, after)
        )
    if timing.at is None:
        return None
    if timing.kind is ScheduleKind.INTERVAL and timing.every and after >= timing.at:
        return timing.at + (after - timing.at) // timing.every * timing.every + timing.every
    return timing.at if after < timing.at else None


def fires(timing: Timing, after: datetime) -> Iterator[datetime]:
    """Yield the moments after another at which it is due, as long as there are some."""
    moment = next_fire(timing, after)
    while moment is not None:
        yield moment
        moment = next_fire(timing, moment)


def shortest_gap(timing: Timing, after: datetime, *, count: int) -> timedelta | None:
    """Return the shortest time between two of the next so many; None if there are not two."""
    moments = list(islice(fires(timing, after), count))
    return min((later - earlier for earlier, later in pairwise(moments)), default=None)


def moment_of(local: datetime, zone: ZoneInfo) -> datetime:
    """Return when a clock on the wall of a zone shows a time first; where it skips that, the first moment after the gap."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None, fold=0) == local.replace(fold=0):
        return first
    # Read by the rule of after the gap it lies before it, and the other way round.
    before, behind = local.replace(tzinfo=zone, fold=1).astimezone(UTC), first
    old = before.astimezone(zone).utcoffset()
    while behind - before > timedelta(seconds=1):
        middle = (before + (behind - before) / 2).replace(microsecond=0)
        if middle <= before:
            break
        before, behind = (middle, behind) if middle.astimezone(zone).utcoffset() == old else (before, middle)
    return behind


def delay(seed: str, moment: datetime, at_most: timedelta) -> timedelta:
    """Return how much later than a moment something starts, so that not all start at once: always the same for the same two."""
    if not at_most:
        return timedelta()
    digest = hashlib.sha256(f"{seed}:{moment.timestamp()}".encode()).digest()
    return at_most * (int.from_bytes(digest[:4], "big") / 2**32)


def _next_local(cron: Cron, zone: ZoneInfo, after: datetime) -> datetime | None:
    # Moments never go back as local times go on, so whatever is earlier on the wall is not later in truth.
    wall = after.astimezone(zone).replace(tzinfo=None, fold=0)
    for day in _days(cron, wall.date()):
        for hour in cron.hours:
            for minute in cron.minutes:
                local = datetime.combine(day, time(hour, minute))
                if local + MINUTE > wall and (moment := moment_of(local, zone)) > after:
                    return moment
    return None


def _next_hourly(cron: Cron, zone: ZoneInfo, after: datetime) -> datetime | None:
    moment = after.astimezone(UTC).replace(second=0, microsecond=0) + MINUTE
    while (local := moment.astimezone(zone)).year < date.max.year:
        if not cron.is_on(local.date()):
            day = next(_days(cron, local.date() + DAY), None)
            if day is None:
                return None
            # Clocks that go back at midnight show a day that is over once more.
            moment = max(moment + MINUTE, moment_of(datetime.combine(day, time()), zone))
        elif local.minute in cron.minutes:
            return moment
        else:
            later = [minute for minute in cron.minutes if minute > local.minute]
            moment += timedelta(minutes=(later[0] if later else 60) - local.minute)
    return None


def _days(cron: Cron, first: date) -> Iterator[date]:
    last = first + min(LONGEST_SEARCH, date.max - first)
    day = first
    while day < last:
        if day.month not in cron.months:
            day = (day.replace(day=1) + 31 * DAY).replace(day=1)
            continue
        if cron.is_on(day):
            yield day
        day += DAY
