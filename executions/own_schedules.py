"""What the doors may ask of schedules: make, change, pause, resume, look ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.db import transaction

from agentplatform.lib.clock import now
from executions import admission
from executions.engine.calendar import ScheduleKind, Timing, fires, moment_of, next_fire, shortest_gap
from executions.engine.cron import CronInvalid
from executions.engine.money import MOST_MICROCREDITS
from executions.errors import ScheduleInvalid
from executions.inputs import checked_inputs
from executions.models import CatchUp, Fire, FireStatus, Overlap, Schedule
from executions.plans import plan_of
from graphs.models import Graph
from integrations.masks import mask_for

#: So many of the coming times are compared with the shortest interval that is allowed.
LOOKED_AHEAD = 50
MOST_CATCH_UP, LONGEST_JITTER_S, LONGEST_INTERVAL_S = 100, 3600, 366 * 86_400
#: Of times that are named: in any zone, and with what comes after, a calendar has them.
FIRST_YEAR, LAST_YEAR = 2000, 2999
SHOWN = 5
PAUSED = "SCHEDULE_PAUSED"
WHEN = frozenset({"kind", "cron", "every_s", "at", "timezone", "jitter_s"})


@dataclass(frozen=True, slots=True)
class Moment:
    """A coming time: in UTC, and as the clocks of the schedule's zone show it."""

    utc: datetime
    local: datetime


def create(*, graph: Graph, **fields: Any) -> Schedule:
    """Make a schedule of the graph's owner.

    Raises:
        ScheduleInvalid: a part of it is not what it should be; `path` says which.
        InputsInvalid: the inputs are not those of the graph.
    """
    schedule = Schedule(graph=graph, owner_id=graph.owner_id, **fields)
    _check(schedule)
    _plan_next(schedule)
    schedule.save(force_insert=True)
    return schedule


def update(schedule: Schedule, **fields: Any) -> Schedule:
    """Change a schedule. Where it changes when it is due, its next time is counted from now.

    Raises:
        ScheduleInvalid, InputsInvalid: as for a new one.
    """
    with transaction.atomic():
        schedule = _locked(schedule)
        before = {name: getattr(schedule, name) for name in WHEN}
        for name, value in fields.items():
            setattr(schedule, name, value)
        # What is over, or comes too often by now, may still be renamed.
        is_new_time = any(getattr(schedule, name) != value for name, value in before.items())
        _check(schedule, is_new_time=is_new_time)
        if is_new_time:
            _plan_next(schedule)
        schedule.save()
    return schedule


def delete(schedule: Schedule) -> None:
    """Remove a schedule and what is known of its times. What it has started goes on."""
    with transaction.atomic():
        # Whoever fires it holds this lock.
        _locked(schedule).delete()


def pause(schedule: Schedule) -> Schedule:
    """Start nothing more. What waits for its turn is left out; times that come meanwhile are no times of it."""
    with transaction.atomic():
        schedule = _locked(schedule)
        schedule.is_paused = True
        schedule.save(update_fields=["is_paused"])
        Fire.objects.filter(schedule=schedule, status=FireStatus.QUEUED).update(
            status=FireStatus.SKIPPED, reason=PAUSED
        )
    return schedule


def resume(schedule: Schedule) -> Schedule:
    """Go on with a paused schedule, from the next time that comes.

    Raises:
        ScheduleInvalid: it has none.
    """
    with transaction.atomic():
        schedule = _locked(schedule)
        if schedule.is_paused:
            schedule.is_paused, schedule.pause_reason = False, ""
            _plan_next(schedule)
            schedule.save(update_fields=["is_paused", "pause_reason", "next_fire_at", "due_at"])
    return schedule


def coming(schedule: Schedule, *, count: int = SHOWN) -> Sequence[Moment]:
    """Return the next times of a schedule; of one that is paused, those that there would be."""
    timing = schedule.timing
    if schedule.is_paused or schedule.next_fire_at is None:
        return _moments(timing, now(), count)
    # One that is due just now is the first.
    return _moments(timing, schedule.next_fire_at - timedelta(microseconds=1), count)


def preview(*, count: int = SHOWN, **fields: Any) -> Sequence[Moment]:
    """Return the next times that a schedule with this timing would have.

    Raises:
        ScheduleInvalid: it can not be one.
    """
    schedule = Schedule(**fields)
    _check_timing(schedule)
    return _moments(schedule.timing, now(), count)


def _moments(timing: Timing, after: datetime, count: int) -> Sequence[Moment]:
    return [Moment(moment, moment.astimezone(timing.zone)) for moment in islice(fires(timing, after), count)]


def _locked(schedule: Schedule) -> Schedule:
    return Schedule.objects.select_related("graph").select_for_update(of=("self",)).get(pk=schedule.pk)


def _plan_next(schedule: Schedule) -> None:
    schedule.set_next(next_fire(schedule.timing, now()))


def _check(schedule: Schedule, *, is_new_time: bool = True) -> None:
    if not 0 < len(schedule.name) <= 200:
        raise ScheduleInvalid("A name has from 1 to 200 characters.", path="name")
    if is_new_time:
        _check_timing(schedule)
    _check_policy(schedule)
    version = schedule.version
    if version is not None and (version.graph_id != schedule.graph_id or not version.is_published):
        raise ScheduleInvalid("This is no published version of the graph.", path="version")
    version = version or schedule.graph.versions.published().only("id").first()
    if version is not None:
        # Masked as it would be when it is started: what a credential holds is stored nowhere else.
        inputs = checked_inputs(schedule.inputs, plan_of(version.pk), owner_id=schedule.owner_id)
        schedule.inputs = mask_for(schedule.owner_id).value(inputs)


def _check_policy(schedule: Schedule) -> None:
    lowest, highest = admission.LOWEST_PRIORITY, admission.HIGHEST_PRIORITY
    if not lowest <= schedule.priority <= highest:
        raise ScheduleInvalid(f"A priority is from {lowest} to {highest}.", path="priority")
    if schedule.budget_microcredits is not None and not 0 <= schedule.budget_microcredits <= MOST_MICROCREDITS:
        raise ScheduleInvalid("A budget is an amount of micro-credits.", path="budget_microcredits")
    if schedule.catch_up not in CatchUp.values:
        raise ScheduleInvalid(f"Missed times are caught up by: {', '.join(CatchUp.values)}.", path="catch_up")
    if not 1 <= schedule.max_catch_up <= MOST_CATCH_UP:
        raise ScheduleInvalid(f"From 1 to {MOST_CATCH_UP} are caught up.", path="max_catch_up")
    if schedule.overlap not in Overlap.values:
        raise ScheduleInvalid(f"What overlaps is treated by: {', '.join(Overlap.values)}.", path="overlap")


def _check_timing(schedule: Schedule) -> None:
    if schedule.timezone not in _zones():
        hint = "Name one as the IANA database does, such as Europe/Berlin."
        raise ScheduleInvalid(f"There is no time zone {schedule.timezone[:80]!r}.", path="timezone", hint=hint)
    _CHECKS.get(schedule.kind, _refuse_kind)(schedule)
    if not 0 <= schedule.jitter_s <= LONGEST_JITTER_S:
        raise ScheduleInvalid(f"A start is later by 0 to {LONGEST_JITTER_S} seconds.", path="jitter_s")
    gap = shortest_gap(schedule.timing, now(), count=LOOKED_AHEAD)
    if gap is None:
        return
    least = timedelta(seconds=settings.AGENTPLATFORM_MIN_SCHEDULE_INTERVAL_S)
    path = "every_s" if schedule.kind == ScheduleKind.INTERVAL else "cron"
    if gap < least:
        hint = "The operator sets the limit with AGENTPLATFORM_MIN_SCHEDULE_INTERVAL_S."
        raise ScheduleInvalid(
            f"It would be due after {gap.total_seconds():g} s; the shortest is {least.total_seconds():g} s.",
            path=path,
            hint=hint,
        )
    if schedule.jitter_s > gap.total_seconds():
        raise ScheduleInvalid(f"That is longer than from one time to the next, {gap}.", path="jitter_s")


def _refuse_kind(schedule: Schedule) -> None:
    raise ScheduleInvalid(f"A schedule is one of: {', '.join(ScheduleKind)}.", path="kind")


def _check_cron(schedule: Schedule) -> None:
    if len(schedule.cron) > 200:
        raise ScheduleInvalid("A cron expression has at most 200 characters.", path="cron")
    try:
        timing = schedule.timing
    except CronInvalid as error:
        raise ScheduleInvalid(str(error), path="cron") from None
    if next_fire(timing, now()) is None:
        raise ScheduleInvalid("There is no such day.", path="cron")
    schedule.every_s = schedule.at = None


def _check_interval(schedule: Schedule) -> None:
    if schedule.every_s is None or not 1 <= schedule.every_s <= LONGEST_INTERVAL_S:
        raise ScheduleInvalid(f"An interval has from 1 to {LONGEST_INTERVAL_S} seconds.", path="every_s")
    schedule.cron = ""
    schedule.at = _moment_in(schedule) or now()


def _check_once(schedule: Schedule) -> None:
    moment = _moment_in(schedule)
    if moment is None or moment <= now():
        raise ScheduleInvalid("Give a time that is still to come.", path="at")
    schedule.cron, schedule.every_s, schedule.at = "", None, moment


def _moment_in(schedule: Schedule) -> datetime | None:
    """Return its time; one that names no zone is of the schedule's."""
    if schedule.at is not None and not FIRST_YEAR <= schedule.at.year <= LAST_YEAR:
        raise ScheduleInvalid(f"A time lies in the years from {FIRST_YEAR} to {LAST_YEAR}.", path="at")
    if schedule.at is None or schedule.at.tzinfo is not None:
        return schedule.at
    return moment_of(schedule.at, ZoneInfo(schedule.timezone))


_CHECKS = {
    ScheduleKind.CRON.value: _check_cron,
    ScheduleKind.INTERVAL.value: _check_interval,
    ScheduleKind.ONCE.value: _check_once,
}


@cache
def _zones() -> frozenset[str]:
    # Some of what the machine has are not of the IANA database: which time is local here is nobody else's.
    return frozenset(available_timezones() - {"localtime", "Factory", "posixrules"})
