"""How much one firing may yield, and how far one execution may grow."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from pydantic_core import to_json

from blocks.sdk import BlockError
from executions.engine.progress import Firing
from executions.models import NodeExecution

#: What is neither text nor made of other values has about so many bytes.
PLAIN_BYTES = 8
#: A lane looks again at what others have added each time it has begun so many firings itself.
COUNT_EVERY = 1000


@dataclass(slots=True)
class Yielded:
    """What a firing has yielded so far."""

    outputs: dict[str, list[Any]]
    size: int = 0

    def add(self, pin: str, value: Any) -> None:
        """Keep a value.

        Raises:
            BlockError: it is too large, or it is one too many.
        """
        size = _size_of(value)
        if size > settings.AGENTPLATFORM_MAX_OUTPUT_BYTES:
            raise BlockError(
                f"The value on {pin!r} has {size:,} bytes; {settings.AGENTPLATFORM_MAX_OUTPUT_BYTES:,} are allowed.",
                code="OUTPUT_TOO_LARGE",
                hint="Split it into items, or raise AGENTPLATFORM_MAX_OUTPUT_BYTES.",
            )
        self.size += size
        if self.size > settings.AGENTPLATFORM_MAX_FIRING_BYTES:
            raise BlockError(
                f"All values together have more than {settings.AGENTPLATFORM_MAX_FIRING_BYTES:,} bytes.",
                code="OUTPUT_TOO_LARGE",
                hint="Yield less for each input, or raise AGENTPLATFORM_MAX_FIRING_BYTES.",
            )
        values = self.outputs.setdefault(pin, [])
        if len(values) >= settings.AGENTPLATFORM_MAX_ITEMS:
            raise BlockError(
                f"There are more than {settings.AGENTPLATFORM_MAX_ITEMS:,} values on {pin!r}.",
                code="TOO_MANY_ITEMS",
                hint="Yield lists of values as items, or raise AGENTPLATFORM_MAX_ITEMS.",
            )
        values.append(value)


def refuse_large_inputs(values: Any) -> None:
    """Refuse what a node has gathered, if it is more than one firing may yield.

    Raises:
        BlockError: it is.
    """
    if _size_of(values) > settings.AGENTPLATFORM_MAX_FIRING_BYTES:
        raise BlockError(
            f"All gathered values together have more than {settings.AGENTPLATFORM_MAX_FIRING_BYTES:,} bytes.",
            code="INPUT_TOO_LARGE",
            hint="Gather less at once, or hand on addresses of large values, or raise AGENTPLATFORM_MAX_FIRING_BYTES.",
        )


@dataclass(slots=True)
class FiringCount:
    """How many firings an execution has, as far as one lane knows.

    Counted are rows, when the lane begins and again now and then, and what the lane has begun itself: so lanes that are at work side by
    side may together begin somewhat more than the limit before one of them notices.
    """

    execution_id: UUID
    #: Nothing of it had begun before the lane.
    is_new: bool
    own: int = 0
    _others: int | None = field(default=None, init=False)
    _counted_at: int = field(default=0, init=False)

    def allows(self, firings: Collection[Firing], *, unwritten: int) -> bool:
        """Say whether these may begin too, and count them; of those that the lane has begun before, so many are not rows yet."""
        limit = settings.AGENTPLATFORM_MAX_FIRINGS
        before, self.own = self.own, self.own + len(firings)
        if self._others is None:
            # Without items, there are no more firings than nodes in the graph.
            if limit >= settings.AGENTPLATFORM_MAX_NODES_PER_GRAPH and not any(one.path for one in firings):
                return True
            self._others = 0 if self.is_new else self._rows(limit) - (before - unwritten)
        elif self.own > self._counted_at + COUNT_EVERY:
            self._counted_at = self.own
            self._others = self._rows(limit) - (before - unwritten)
        return self._others + self.own <= limit

    def _rows(self, limit: int) -> int:
        # What is beyond the limit by a lane's own share need not be counted exactly.
        return NodeExecution.objects.filter(execution_id=self.execution_id)[: 2 * limit].count()


def _size_of(value: Any) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    return len(to_json(value)) if isinstance(value, list | dict) and value else PLAIN_BYTES
