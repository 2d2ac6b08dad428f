"""A firing that a worker may run now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID

from agentplatform.lib.clock import now
from agentplatform.lib.errors import AppError
from agentplatform.lib.masking import Mask
from executions.engine.plan import PlanNode
from executions.engine.progress import Firing
from executions.leases import Claim

if TYPE_CHECKING:
    from executions.batch import Ended
    from executions.calls import SubGraphs
    from executions.context import FiringContext


class Why(Enum):
    """Why the firings of a lane are interrupted."""

    #: The execution was cancelled: what was used so far is still settled.
    CANCELLED = auto()
    #: This worker stops: they are begun again elsewhere.
    LEAVING = auto()
    #: Another worker has taken over: nothing of them is written here any more.
    LOST = auto()


@dataclass(slots=True)
class Stop:
    """Tells the firings of one lane that they are interrupted, and why."""

    why: Why | None = None
    #: By the monotonic clock.
    asked_at: float = 0.0

    def ask(self, why: Why) -> bool:
        """Note that they are to stop. Return whether that is news: the first reason stands, unless nothing is left to settle."""
        if self.why and (why is not Why.LOST or self.why is Why.LOST):
            return False
        self.asked_at = monotonic()
        self.why = why
        return True

    @property
    def is_cancelled(self) -> bool:
        """Say whether the execution was cancelled."""
        return self.why is Why.CANCELLED


@dataclass(slots=True)
class Course:
    """How far a firing is, for whoever watches it from another thread."""

    #: Of the attempt under way; None before the first, and between two.
    context: FiringContext | None = None
    attempt: int = 1
    began_at: datetime = field(default_factory=now)
    #: By the monotonic clock.
    began: float = 0.0
    limit_s: float = 0.0
    #: What came of the attempts before this one, under the same claim.
    before: Ended | None = None
    #: It has called a sub-graph.
    has_called: bool = False
    #: Its block has ended; what that has started is being stopped.
    is_closing: bool = False
    #: Nobody waits for it any longer, whatever it still does.
    is_left: bool = False

    def begin(self, context: FiringContext, *, attempt: int, limit_s: float) -> None:
        """Note that an attempt begins."""
        self.attempt, self.limit_s = attempt, limit_s
        self.began_at, self.began = now(), monotonic()
        self.context, self.is_closing = context, False

    def end(self) -> None:
        """Note that the attempt has ended."""
        self.context, self.is_closing = None, False

    def over_s(self, moment: float) -> float:
        """Return for how long the attempt has run beyond its limit; less than 0 where it has not."""
        return moment - self.began - self.limit_s if self.context and not self.is_closing else float("-inf")


@dataclass(frozen=True, slots=True)
class Family:
    """Whose an execution is, and where it stands among those that started it."""

    owner_id: int
    root_id: UUID
    depth: int = 0
    parent_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A firing with the values it is given, or the error that these could not be put together."""

    execution_id: UUID
    node: PlanNode
    firing: Firing
    values: dict[str, Any] | AppError
    claim: Claim | None
    queued_at: datetime
    family: Family
    #: Of all secrets its owner's graphs may use: nothing of a firing is stored before it went through it. Shared with others.
    mask: Mask = field(default_factory=Mask)
    #: What its block may ask: only what is in each of these lists.
    allowed_hosts: Sequence[Sequence[str]] = ()
    #: What it has waited for, by call key.
    answers: Mapping[str, Any] = field(default_factory=dict)
    stop: Stop = field(default_factory=Stop)
    course: Course = field(default_factory=Course)
    #: Who runs the sub-graphs that its block calls; asked for only when it calls one.
    sub_graphs: Callable[[], SubGraphs] | None = None

    @property
    def idempotency_key(self) -> str:
        """Return the key that is the same for every attempt of this firing."""
        return idempotency_key(self.execution_id, self.node.key, self.firing.path)


def idempotency_key(execution_id: UUID, node_key: str, path: Iterable[int]) -> str:
    """Return the key that a block sends with whatever must not happen twice."""
    return f"{execution_id}:{node_key}:{','.join(map(str, path))}"
