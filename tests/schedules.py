"""Schedules, for tests."""

from __future__ import annotations

from typing import Any

from executions import own_schedules
from executions.models import Schedule
from graphs.models import GraphVersion
from tests.blocks import node
from tests.factories import make_published


def every(seconds: int) -> dict[str, Any]:
    """Return the timing of an interval."""
    return {"kind": "interval", "every_s": seconds}


def make_schedule(of: GraphVersion | None = None, **fields: Any) -> Schedule:
    """Return a new schedule: by default of each minute, of a graph that only computes."""
    of = of or make_published([node("only", "test.source")])
    return own_schedules.create(graph=of.graph, **{"name": "nightly", **every(60), **fields})
