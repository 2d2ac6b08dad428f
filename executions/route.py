"""Where what follows from a lane goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

from executions import launch
from executions.calls import SubGraphs
from executions.engine.compile import Canvas, Limits


class Route:
    """By the broker, to any worker."""

    def __init__(self, sub_graphs: Callable[[], SubGraphs] | None = None) -> None:
        #: Who runs the sub-graphs that its blocks call; None where they can call none.
        self.sub_graphs = sub_graphs

    def send(self, execution_id: UUID, canvases: Iterable[Canvas]) -> None:
        """Send what was compiled for one execution."""
        launch.send(execution_id, canvases)

    def limits(self) -> Limits:
        """Return how wide work is spread."""
        return launch.limits()
