"""Forms of the console that make and change schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.utils.dateparse import parse_datetime
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from agentplatform.lib.service_form import ServiceForm
from executions import own_schedules
from executions.models import Schedule

SETTINGS = (
    "name",
    "kind",
    "cron",
    "every_s",
    "at",
    "timezone",
    "inputs",
    "jitter_s",
    "catch_up",
    "max_catch_up",
    "overlap",
    "priority",
)


class _Settings(ServiceForm):
    at = forms.CharField(
        required=False,
        label="At",
        help_text="Such as 2026-12-24 18:00, in the zone of the schedule. For an interval: the time that it counts from.",
        widget=UnfoldAdminTextInputWidget(),
    )
    inputs = forms.JSONField(
        required=False, label="Inputs", initial=dict, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4})
    )
    paths: ClassVar[dict[str, str]] = {}

    class Meta:
        model = Schedule
        fields = [name for name in SETTINGS if name not in ("at", "inputs")]
        labels: ClassVar[dict[str, str]] = {
            "every_s": "Interval",
            "timezone": "Time zone",
            "jitter_s": "Jitter",
            "max_catch_up": "Catch up with at most",
        }
        help_texts: ClassVar[dict[str, str]] = {
            "kind": "By the cron expression, by the interval, or once at the time below.",
            "cron": "Minute, hour, day of the month, month, day of the week (0 and 7 are Sunday).",
            "every_s": "Seconds from one time to the next.",
            "timezone": "Such as Europe/Berlin.",
            "jitter_s": "Each start is so many seconds later at the most.",
            "catch_up": "What becomes of times that were missed.",
            "max_catch_up": "How many of them are started at the most, where all are.",
            "overlap": "What becomes of a time while something earlier still runs.",
        }

    def clean_at(self) -> datetime | None:
        """Return the time; without an offset it is one of the schedule's zone."""
        text = self.cleaned_data["at"].strip()
        try:
            moment = parse_datetime(text) if text else None
        except ValueError:
            moment = None
        if text and moment is None:
            raise forms.ValidationError("Give a date and a time, such as 2026-12-24 18:00.")
        return moment

    def clean_inputs(self) -> dict[str, Any]:
        """Return the inputs by name."""
        inputs = self.cleaned_data["inputs"] or {}
        if not isinstance(inputs, dict):
            raise forms.ValidationError("Give an object.")
        return inputs

    def add_error(self, field: str | None, error: Any) -> None:
        # What is wrong with one input is told at the field of all.
        name = field.partition(".")[0] if field else None
        super().add_error(name if name in self.fields else None, error)

    @property
    def asked(self) -> dict[str, Any]:
        """Return what is asked for, by the names of the services."""
        return {name: self.cleaned_data[name] for name in SETTINGS}


class NewScheduleForm(_Settings):
    """Make a schedule of the graph's owner."""

    class Meta(_Settings.Meta):
        fields = ["graph", *_Settings.Meta.fields]

    def carry_out(self) -> Schedule:
        """Make it."""
        return own_schedules.create(graph=self.cleaned_data["graph"], **self.asked)


class ScheduleForm(_Settings):
    """Change a schedule."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        schedule = self.instance
        self.initial["at"] = schedule.at.astimezone(schedule.timing.zone).isoformat(" ") if schedule.at else ""
        self.initial["inputs"] = schedule.inputs

    def carry_out(self) -> Schedule:
        """Change it, where something is another."""
        return own_schedules.update(self.instance, **self.asked)
