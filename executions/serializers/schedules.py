"""Schedules and their times as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agentplatform.lib.asking import AskSerializer, IdField, TextField
from executions import admission
from executions.engine.calendar import ScheduleKind
from executions.engine.money import MOST_MICROCREDITS
from executions.models import CatchUp, Fire, Overlap, Schedule
from executions.own_schedules import LONGEST_INTERVAL_S, LONGEST_JITTER_S, MOST_CATCH_UP, SHOWN, coming
from executions.serializers.webhooks import StrictBooleanField
from executions.triggers import TriggerKind

KINDS = [(kind.value, kind.value) for kind in ScheduleKind]


class LocalOrAwareField(serializers.DateTimeField):
    """A time; without an offset it is one of the schedule's zone."""

    def enforce_timezone(self, value: datetime) -> datetime:
        return value


class MomentSerializer(serializers.Serializer[Any]):
    """A coming time: in UTC, and as the clocks of the schedule's zone show it."""

    utc = serializers.SerializerMethodField()
    local = serializers.SerializerMethodField()

    @extend_schema_field(serializers.DateTimeField())
    def get_utc(self, moment: Any) -> str:
        return moment.utc.isoformat().replace("+00:00", "Z")

    @extend_schema_field(serializers.DateTimeField())
    def get_local(self, moment: Any) -> str:
        return str(moment.local.isoformat())


class ScheduleSerializer(serializers.ModelSerializer[Schedule]):
    """A schedule, with its next time in both zones."""

    graph = serializers.UUIDField(source="graph_id", read_only=True)
    graph_name = serializers.CharField(source="graph.name", read_only=True)
    version = serializers.UUIDField(
        source="version_id", read_only=True, allow_null=True, help_text="Null: the newest published one at each time."
    )
    next_fire_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="Null if there is none.")
    next_fire_at_local = serializers.SerializerMethodField(help_text="The same as the clocks of its zone show it.")

    class Meta:
        model = Schedule
        fields = [
            "id",
            "name",
            "graph",
            "graph_name",
            "version",
            "kind",
            "cron",
            "every_s",
            "at",
            "timezone",
            "inputs",
            "priority",
            "budget_microcredits",
            "jitter_s",
            "catch_up",
            "max_catch_up",
            "overlap",
            "is_paused",
            "pause_reason",
            "next_fire_at",
            "next_fire_at_local",
            "created_at",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_fire_at_local(self, schedule: Schedule) -> str | None:
        return schedule.next_fire_at.astimezone(schedule.timing.zone).isoformat() if schedule.next_fire_at else None


class ScheduleDetailSerializer(ScheduleSerializer):
    """The same with the times after it."""

    next_fires = serializers.SerializerMethodField(help_text="While it is paused: those that there would be.")

    class Meta(ScheduleSerializer.Meta):
        fields = [*ScheduleSerializer.Meta.fields, "next_fires"]
        read_only_fields = fields

    @extend_schema_field(MomentSerializer(many=True))
    def get_next_fires(self, schedule: Schedule) -> Any:
        return MomentSerializer(coming(schedule), many=True).data


class _Timing(AskSerializer[Any]):
    kind = serializers.ChoiceField(choices=KINDS, help_text="By what it goes: `cron`, `every_s`, or once, by `at`.")
    cron = TextField(
        required=False,
        allow_blank=True,
        max_length=200,
        help_text="Five fields: minute, hour, day of the month, month, day of the week, where 0 and 7 are Sunday.",
    )
    every_s = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=LONGEST_INTERVAL_S)
    at = LocalOrAwareField(
        required=False,
        allow_null=True,
        help_text="The one time; of an interval, the time that it counts from. Without an offset it is of the schedule's zone.",
    )
    timezone = TextField(required=False, max_length=64, help_text="As IANA names it: `Europe/Berlin`.")


class PreviewSerializer(_Timing):
    """When something would be due."""

    count = serializers.IntegerField(required=False, min_value=1, max_value=50, default=SHOWN)


class _Settings(_Timing):
    name = TextField(max_length=200)
    version = IdField(
        required=False, allow_null=True, help_text="This version is started; else the newest published one."
    )
    inputs = serializers.DictField(child=serializers.JSONField(allow_null=True), required=False)
    priority = serializers.IntegerField(
        required=False, min_value=admission.LOWEST_PRIORITY, max_value=admission.HIGHEST_PRIORITY
    )
    budget_microcredits = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=MOST_MICROCREDITS,
        help_text="What each execution may cost at the most.",
    )
    jitter_s = serializers.IntegerField(
        required=False, min_value=0, max_value=LONGEST_JITTER_S, help_text="Each start is so much later at the most."
    )
    catch_up = serializers.ChoiceField(
        choices=CatchUp.choices, required=False, help_text="What becomes of times that were missed."
    )
    max_catch_up = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_CATCH_UP, help_text="Of `all`, so many are started: the last ones."
    )
    overlap = serializers.ChoiceField(
        choices=Overlap.choices, required=False, help_text="What becomes of a time while something earlier runs."
    )


class ScheduleAskSerializer(_Settings):
    """A new schedule of one of your graphs."""

    graph = IdField()
    is_paused = StrictBooleanField(required=False)


class ScheduleChangeSerializer(_Settings):
    """What of a schedule can be changed. Pausing is done at `pause/` and `resume/`."""

    shown = frozenset(ScheduleDetailSerializer.Meta.fields)

    kind = serializers.ChoiceField(choices=KINDS, required=False)
    name = TextField(max_length=200, required=False)


class FireSerializer(serializers.ModelSerializer[Fire]):
    """A time of a schedule, and what became of it."""

    schedule = serializers.UUIDField(source="schedule_id", read_only=True)
    execution = serializers.UUIDField(source="execution_id", read_only=True, allow_null=True)
    fire_at_local = serializers.SerializerMethodField()

    class Meta:
        model = Fire
        fields = [
            "id",
            "schedule",
            "fire_at",
            "fire_at_local",
            "is_manual",
            "status",
            "reason",
            "message",
            "execution",
            "created_at",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.DateTimeField())
    def get_fire_at_local(self, fire: Fire) -> str:
        return str(fire.fire_at.astimezone(fire.schedule.timing.zone).isoformat())


class StartedBySerializer(serializers.Serializer[Any]):
    """What started an execution."""

    kind = serializers.ChoiceField(choices=[(kind.value, kind.value) for kind in TriggerKind])
    id = serializers.UUIDField(help_text="Of the schedule or webhook.")
    name = serializers.CharField()
    of = serializers.UUIDField(help_text="The time of the schedule, or the delivery.")
    at = serializers.DateTimeField()
