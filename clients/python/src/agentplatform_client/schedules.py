"""What can be asked of schedules: when graphs are started by the clock, and what became of each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from agentplatform_client.calls import Call, at, given
from agentplatform_client.types import Fire, PaginatedFireList, PaginatedScheduleList, ScheduleDetail

Id = str | UUID


def find(*, graph: Id | None = None, is_paused: bool | None = None) -> Call[PaginatedScheduleList]:
    """Find schedules, newest first."""
    return Call("GET", at("schedules"), params=given(graph=graph and str(graph), is_paused=is_paused))


def get(schedule: Id) -> Call[ScheduleDetail]:
    """Look at one, with the next times at which it is due."""
    return Call("GET", at("schedules", schedule))


def create(
    *,
    graph: Id,
    name: str,
    kind: Literal["cron", "interval", "once"],
    cron: str | None = None,
    every_s: int | None = None,
    at_time: str | None = None,
    timezone: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    **more: Any,
) -> Call[ScheduleDetail]:
    """Start a graph by the clock; `more` are other fields by their names, such as `overlap` and `catch_up`."""
    body = given(
        graph=str(graph),
        name=name,
        kind=kind,
        cron=cron,
        every_s=every_s,
        at=at_time,
        timezone=timezone,
        inputs=None if inputs is None else dict(inputs),
        **more,
    )
    return Call("POST", at("schedules"), json=body)


def change(schedule: Id, **fields: Any) -> Call[ScheduleDetail]:
    """Change it, by the names of its fields."""
    return Call("PATCH", at("schedules", schedule), json=given(**fields))


def pause(schedule: Id) -> Call[ScheduleDetail]:
    """Start nothing by it until it is resumed."""
    return Call("POST", at("schedules", schedule, "pause"))


def resume(schedule: Id) -> Call[ScheduleDetail]:
    """Go on with its next time."""
    return Call("POST", at("schedules", schedule, "resume"))


def fire(schedule: Id) -> Call[Fire]:
    """Start its graph now, beside its times."""
    return Call("POST", at("schedules", schedule, "fire"))


def delete(schedule: Id) -> Call[None]:
    """Remove it, and what became of its times; executions stay."""
    return Call("DELETE", at("schedules", schedule))


def fires(schedule: Id, *, status: str | Sequence[str] | None = None) -> Call[PaginatedFireList]:
    """Look at what became of its times, newest first."""
    return Call("GET", at("schedules", schedule, "fires"), params=given(status=status))
