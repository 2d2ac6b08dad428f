"""Start what schedules say is due: each time once, however many look; what was missed is written down.

The row of a time is unique and is written in one transaction with the execution that it starts. Beat's process asks, each second.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice, takewhile
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from agentplatform.lib.clock import now
from agentplatform.lib.errors import AppError
from agentplatform.lib.ids import uuid7
from executions import failpoints, services, statements
from executions.engine.calendar import ScheduleKind, fires, next_fire
from executions.models import CatchUp, Execution, ExecutionQuerySet, Fire, FireStatus, Overlap, Schedule
from executions.stopping import cancel_all
from executions.worker import patiently
from graphs import services as graph_services

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
#: Schedules of one look, and missed times of one transaction.
AT_ONCE, MISSED_AT_ONCE = 500, 500
#: Of what a schedule has started, so many may still run.
LOOKED_BACK = 100
MOST_QUEUED = 100
CAUGHT_UP, OVERLAPS, QUEUE_FULL, FAILED = "CAUGHT_UP", "OVERLAPS", "QUEUE_FULL", "UNEXPECTED"
GRAPH_ARCHIVED = "GRAPH_ARCHIVED"


@dataclass(slots=True)
class _Turn:
    """What one transaction does for a schedule: times that were missed, then the first that is not, and what comes after."""

    missed: list[datetime] = field(default_factory=list)
    first: datetime | None = None
    is_late: bool = False
    following: datetime | None = None


def keep_firing(stop: threading.Event) -> None:
    """Fire what is due each second, until `stop`. In beat's own process, on a thread of its own: nothing else holds it up."""
    while not stop.wait(LOOK_EVERY_S):
        try:
            patiently(fire_due)
        except Exception:
            # The next look may do better; without any, no schedule would ever start anything.
            logger.exception("Schedules could not be fired")
            connection.close()


def fire_due(moment: datetime | None = None) -> int:
    """Start what is due, or was queued and has its turn; leave to others what they are at. Return how many times were settled.

    The clock is the database's, unless a moment is given.
    """
    moment = moment or _database_now()
    count = 0
    for schedule_id in _with_queued():
        count += _guarded(schedule_id, _fire_queued(schedule_id))
    due = Schedule.objects.filter(is_paused=False, due_at__lte=moment).order_by("due_at").values_list("pk", flat=True)
    for schedule_id in due[:AT_ONCE]:
        count += _guarded(schedule_id, _fire_all(schedule_id, moment))
    return count


def fire_now(schedule: Schedule) -> Fire:
    """Start a schedule's graph at once, because somebody asks for it: beside its times, whatever runs, also while it is paused.

    Raises:
        AppError: it can not be started; nothing is written down.
    """
    fire = Fire(schedule_id=schedule.pk, fire_at=now(), is_manual=True, status=FireStatus.FIRED, execution_id=uuid7())
    with transaction.atomic(durable=True):
        schedule = Schedule.objects.select_related("graph").select_for_update(of=("self",)).get(pk=schedule.pk)
        _write(fire)
        _start(schedule, fire.execution_id)
    return fire


def _with_queued() -> list[UUID]:
    """Return schedules of which a queued time may have its turn; where there are too many to look at, chance decides."""
    # Found first, and usually none: joined to the schedules, all of those might be walked through.
    queued = list(Fire.objects.filter(status=FireStatus.QUEUED).values_list("schedule_id", flat=True).distinct())
    if not queued:
        return []
    waiting = Schedule.objects.filter(pk__in=queued, is_paused=False, graph__is_archived=False)
    return list(waiting.order_by("?").values_list("pk", flat=True)[:AT_ONCE])


def _guarded(schedule_id: UUID, turns: Iterator[int]) -> int:
    """Do all turns of a schedule. One that can not be fired at all keeps no other from being fired."""
    try:
        return sum(turns)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("Schedule %s could not be fired", schedule_id)
        return 0


def _fire_all(schedule_id: UUID, moment: datetime) -> Iterator[int]:
    """Yield how many times each turn has settled, until nothing is due."""
    _cancel_earlier(schedule_id, moment)
    while settled := _take_turn(schedule_id, moment):
        yield settled
        _cancel_earlier(schedule_id, moment)


def _take_turn(schedule_id: UUID, moment: datetime) -> int:
    with transaction.atomic(durable=True):
        schedule = _locked(schedule_id, is_paused=False, due_at__lte=moment)
        if schedule is None:
            return 0
        turn = _turn_of(schedule, moment)
        Fire.objects.bulk_create(
            [Fire(schedule=schedule, fire_at=missed, status=FireStatus.MISSED) for missed in turn.missed],
            ignore_conflicts=True,
        )
        schedule.set_next(turn.following)
        schedule.save(update_fields=["next_fire_at", "due_at"])
        if turn.first:
            _fire(schedule, turn.first, CAUGHT_UP if turn.is_late else "")
        failpoints.reach("before_fire_commit")
        return len(turn.missed) + (turn.first is not None)


def _turn_of(schedule: Schedule, moment: datetime) -> _Turn:
    """Decide what becomes of the times that are due."""
    timing, grace = schedule.timing, timedelta(seconds=settings.AGENTPLATFORM_SCHEDULE_GRACE_S)
    begin: datetime | None = schedule.next_fire_at
    oldest = moment - timedelta(days=settings.AGENTPLATFORM_KEEP_FIRES_DAYS)
    if begin and begin < oldest and schedule.kind != ScheduleKind.ONCE:
        # What is not kept any longer need not be written down.
        begin = next_fire(timing, oldest)
    if begin is None:
        return _Turn()
    times = takewhile(lambda time: schedule.due(time) <= moment, chain([begin], fires(timing, begin)))
    due = list(islice(times, MISSED_AT_ONCE + schedule.max_catch_up))
    if not due:
        return _Turn(following=begin)
    may_start = {CatchUp.SKIP: 0, CatchUp.ONCE: 1, CatchUp.ALL: schedule.max_catch_up}[CatchUp(schedule.catch_up)]
    turn = _Turn()
    for number, time in enumerate(due[:MISSED_AT_ONCE]):
        turn.is_late = moment - schedule.due(time) > grace
        turn.following = next_fire(timing, time)
        if not turn.is_late or len(due) - number <= may_start:
            turn.first = time
            break
        turn.missed.append(time)
    return turn


def _fire(schedule: Schedule, time: datetime, reason: str) -> None:
    """Write down what becomes of a time that is to be started, and start it. Whoever comes second changes nothing."""
    fire = Fire(schedule_id=schedule.pk, fire_at=time, status=FireStatus.FIRED, reason=reason)
    if schedule.graph.is_archived:
        fire.status, fire.reason = FireStatus.SKIPPED, GRAPH_ARCHIVED
        schedule.is_paused, schedule.pause_reason = True, GRAPH_ARCHIVED
        schedule.save(update_fields=["is_paused", "pause_reason"])
    elif schedule.overlap == Overlap.SKIP and _running(schedule).exists():
        fire.status, fire.reason = FireStatus.SKIPPED, OVERLAPS
    elif schedule.overlap == Overlap.QUEUE and (queued := _queued(schedule)[:MOST_QUEUED].count()) >= MOST_QUEUED:
        fire.status, fire.reason = FireStatus.SKIPPED, QUEUE_FULL
    elif schedule.overlap == Overlap.QUEUE and (queued or _running(schedule).exists()):
        fire.status = FireStatus.QUEUED
    else:
        fire.execution_id = uuid7()
    if _write(fire) and fire.execution_id:
        _start_or_tell(schedule, fire)


def _fire_queued(schedule_id: UUID) -> Iterator[int]:
    """Start the first that is queued, if what ran has ended."""
    with transaction.atomic(durable=True):
        schedule = _locked(schedule_id, is_paused=False, graph__is_archived=False)
        if schedule is None or _running(schedule).exists():
            return
        fire = _queued(schedule).order_by("fire_at").first()
        if fire is None:
            return
        fire.status, fire.execution_id = FireStatus.FIRED, uuid7()
        fire.save(update_fields=["status", "execution_id"])
        _start_or_tell(schedule, fire)
    yield 1


def _start_or_tell(schedule: Schedule, fire: Fire) -> None:
    """Start the execution of a time, or say of it why that failed: the schedule goes on."""
    try:
        with transaction.atomic():
            _start(schedule, fire.execution_id)
        return
    except AppError as error:
        fire.reason, fire.message = error.code, f"{error.message} {error.hint}".strip()
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("Schedule %s could not start its graph", schedule.pk)
        fire.reason, fire.message = FAILED, "The platform could not start it; its log says why."
    fire.status, fire.execution_id = FireStatus.FAILED, None
    fire.save(update_fields=["status", "execution_id", "reason", "message"])


def _start(schedule: Schedule, execution_id: UUID | None) -> Execution:
    return services.start(
        version_id=schedule.version_id or graph_services.latest_version(schedule.graph).pk,
        owner_id=schedule.owner_id,
        inputs=schedule.inputs,
        priority=schedule.priority,
        budget_microcredits=schedule.budget_microcredits,
        execution_id=execution_id,
    )


def _cancel_earlier(schedule_id: UUID, moment: datetime) -> None:
    """Cancel what runs, where that makes room for what is due: only what is of an earlier time, not what another has just started."""
    schedule = Schedule.objects.filter(
        pk=schedule_id,
        overlap=Overlap.CANCEL,
        is_paused=False,
        graph__is_archived=False,
        owner__is_active=True,
        due_at__lte=moment,
    ).first()
    if schedule is not None:
        cancel_all(list(_running(schedule, before=schedule.next_fire_at).values_list("pk", flat=True)))


def _running(schedule: Schedule, before: datetime | None = None) -> ExecutionQuerySet:
    started = Fire.objects.filter(schedule_id=schedule.pk, status=FireStatus.FIRED)
    if before:
        started = started.filter(fire_at__lt=before)
    latest = started.order_by("-id").values_list("execution_id", flat=True)[:LOOKED_BACK]
    return Execution.objects.filter(pk__in=[id_ for id_ in latest if id_]).unfinished()


def _queued(schedule: Schedule) -> Any:
    return Fire.objects.filter(schedule_id=schedule.pk, status=FireStatus.QUEUED)


def _locked(schedule_id: UUID, **still: Any) -> Schedule | None:
    """Lock a schedule that is still so. None if it is not, or if somebody else is at it."""
    found = Schedule.objects.select_related("graph").filter(pk=schedule_id, **still)
    return found.select_for_update(of=("self",), skip_locked=True).first()


def _write(fire: Fire) -> bool:
    """Write a time down. Return False if somebody has."""
    with statements.cursor() as cursor:
        statements.run(
            cursor,
            "fire",
            id=fire.pk,
            schedule_id=fire.schedule_id,
            fire_at=fire.fire_at,
            is_manual=fire.is_manual,
            status=fire.status,
            reason=fire.reason,
            message=fire.message,
            execution_id=fire.execution_id,
        )
        is_first = cursor.fetchone() is not None
    fire._state.adding = False
    return is_first


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        (moment,) = cursor.fetchone()
    return moment
