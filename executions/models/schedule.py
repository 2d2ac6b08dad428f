"""What starts a graph by the clock, and what became of each of its times."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import Q

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from agentplatform.lib.one_graph import only_graph_of
from executions.engine import cron
from executions.engine.calendar import ScheduleKind, Timing, delay

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

read_cron = lru_cache(maxsize=2048)(cron.parse)


class CatchUp(models.TextChoices):
    """What becomes of times at which nothing could be started."""

    SKIP = "skip", "leave them out"
    ONCE = "once", "start once for all of them"
    ALL = "all", "start for each of the last ones"


class Overlap(models.TextChoices):
    """What becomes of a time at which something that the schedule started before still runs."""

    ALLOW = "allow", "start beside it"
    SKIP = "skip", "leave it out"
    QUEUE = "queue", "start when it has ended"
    CANCEL = "cancel", "cancel what runs, and start"


class FireStatus(models.TextChoices):
    """What became of a time of a schedule."""

    FIRED = "FIRED", "fired"
    #: It waits until what was started before has ended.
    QUEUED = "QUEUED", "queued"
    SKIPPED = "SKIPPED", "skipped"
    MISSED = "MISSED", "missed"
    FAILED = "FAILED", "failed"


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    """Schedules, and the one way to ask for somebody's."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> ScheduleQuerySet:
        """Return the schedules of `user`; nobody who is not logged in has any."""
        mine = self.filter(owner_id=user.pk) if user.pk is not None else self.none()
        only = only_graph_of(user)
        return mine.filter(graph_id=only) if only else mine


class Schedule(models.Model):
    """When a graph is started, with what, and what becomes of times that were missed or come too soon."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="schedules")
    graph = models.ForeignKey("graphs.Graph", on_delete=models.CASCADE, related_name="schedules")
    #: What is started; None takes the newest published version at each time.
    version = models.ForeignKey(
        "graphs.GraphVersion", on_delete=models.CASCADE, null=True, blank=True, related_name="schedules"
    )
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=[(kind.value, kind.value) for kind in ScheduleKind])
    cron = models.CharField(max_length=200, blank=True, default="")
    every_s = models.PositiveIntegerField(null=True, blank=True)
    #: The one time of `once`; of an interval, the time that it counts from.
    at = models.DateTimeField(null=True, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    inputs: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    priority = models.SmallIntegerField(default=0)
    #: What each execution may cost; None leaves that to the other budgets.
    budget_microcredits = models.BigIntegerField(null=True, blank=True)
    #: Each start is so much later at the most, so that not all start at once.
    jitter_s = models.PositiveIntegerField(default=0)
    catch_up = models.CharField(max_length=8, choices=CatchUp.choices, default=CatchUp.ONCE)
    max_catch_up = models.PositiveSmallIntegerField(default=10)
    overlap = models.CharField(max_length=8, choices=Overlap.choices, default=Overlap.ALLOW)
    is_paused = models.BooleanField(default=False)
    #: Why it was paused, if no person did it.
    pause_reason = models.CharField(max_length=64, blank=True, default="", editable=False)
    #: The next time that nothing is known of yet, and when it is started, which may be a little later. None: there is none any more.
    next_fire_at = models.DateTimeField(null=True, blank=True, editable=False)
    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        db_table = "executions_schedule"
        indexes = [
            models.Index(fields=["owner", "-id"], name="schedules_newest_of_owner"),
            models.Index(fields=["due_at"], condition=Q(is_paused=False, due_at__isnull=False), name="schedules_due"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind=ScheduleKind.CRON.value) & ~Q(cron="")
                | Q(kind=ScheduleKind.INTERVAL.value, every_s__gte=1, at__isnull=False)
                | Q(kind=ScheduleKind.ONCE.value, at__isnull=False),
                name="a_schedule_says_when",
            ),
            models.CheckConstraint(condition=Q(catch_up__in=CatchUp.values), name="a_schedule_knows_how_to_catch_up"),
            models.CheckConstraint(condition=Q(overlap__in=Overlap.values), name="a_schedule_knows_what_may_overlap"),
            models.CheckConstraint(
                condition=Q(next_fire_at__isnull=True, due_at__isnull=True) | Q(due_at__gte=models.F("next_fire_at")),
                name="a_schedule_is_due_at_its_next_time_or_later",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def timing(self) -> Timing:
        """Return when it is due.

        Raises:
            executions.engine.cron.CronInvalid: its expression is none.
            zoneinfo.ZoneInfoNotFoundError: there is no such zone.
        """
        return Timing(
            kind=ScheduleKind(self.kind),
            zone=ZoneInfo(self.timezone),
            cron=read_cron(self.cron) if self.kind == ScheduleKind.CRON else None,
            every=timedelta(seconds=self.every_s) if self.every_s else None,
            at=self.at,
        )

    def set_next(self, moment: datetime | None) -> None:
        """Let this be the next time; none if there is none."""
        self.next_fire_at, self.due_at = moment, self.due(moment) if moment else None

    def due(self, moment: datetime) -> datetime:
        """Return when one of its times is started."""
        return moment + delay(str(self.pk), moment, timedelta(seconds=self.jitter_s))


class FireQuerySet(models.QuerySet["Fire"]):
    """Times of schedules, and the one way to ask for somebody's."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> FireQuerySet:
        """Return the times of the schedules of `user`."""
        return self.filter(schedule__in=Schedule.objects.owned_by(user))


class Fire(models.Model):
    """One time of a schedule, once however many look after it; and what became of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="fires", db_index=False)
    fire_at = models.DateTimeField(editable=False)
    #: Somebody asked for it: it is no time of the schedule.
    is_manual = models.BooleanField(default=False, editable=False)
    status = models.CharField(max_length=8, choices=FireStatus.choices)
    #: Why nothing was started, or why it was started late.
    reason = models.CharField(max_length=64, blank=True, default="")
    message = models.TextField(blank=True, default="")
    #: No constraint, as months of executions are dropped.
    execution_id = models.UUIDField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    objects = FireQuerySet.as_manager()

    class Meta:
        db_table = "executions_fire"
        verbose_name = "time of a schedule"
        verbose_name_plural = "times of schedules"
        indexes = [
            models.Index(fields=["schedule", "-id"], name="fires_newest_of_schedule"),
            models.Index(fields=["schedule", "-id"], condition=Q(status="FIRED"), name="fires_that_started"),
            models.Index(fields=["schedule", "fire_at"], condition=Q(status="QUEUED"), name="fires_queued"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["schedule", "fire_at"], name="a_time_is_fired_once"),
            models.UniqueConstraint(
                fields=["execution_id"],
                condition=Q(execution_id__isnull=False),
                name="an_execution_is_of_one_fire",
            ),
            models.CheckConstraint(condition=Q(status__in=FireStatus.values), name="a_fire_has_a_known_status"),
            models.CheckConstraint(
                condition=Q(status=FireStatus.FIRED, execution_id__isnull=False)
                | (~Q(status=FireStatus.FIRED) & Q(execution_id__isnull=True)),
                name="a_fire_has_its_execution",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.fire_at:%Y-%m-%d %H:%M:%S} UTC"
