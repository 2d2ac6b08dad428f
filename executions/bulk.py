"""Do one thing with many executions: with each by the same service as with one, and with what came of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from uuid import UUID

from django.db.models import Exists, OuterRef

from agentplatform.lib.errors import AppError
from executions.engine.status import FINAL, Status
from executions.models import Execution, ExecutionQuerySet

#: With so many at once at the most, and with so many unless more are asked for.
MOST, USUAL = 500, 100
#: And for so long, as somebody waits for the answer.
LONGEST_S = 10.0
#: Where going on from an execution makes sense.
RETRIED = (Status.FAILED, Status.CANCELLED, Status.BUDGET_EXCEEDED)

Act = Callable[[Execution], Execution]


class Action(StrEnum):
    """What is done with each."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one: it, or what was started to go on from it, as it stands; or why not."""

    execution_id: UUID
    execution: Execution | None = None
    error: AppError | None = None


def candidates(action: Action, executions: ExecutionQuerySet) -> ExecutionQuerySet:
    """Return those of some executions with which it can be done, the oldest first.

    Sub-graphs are left out: what is done with an execution reaches all that it has started. So is what somebody has gone on from already.
    """
    outermost = executions.filter(parent_id__isnull=True).order_by("id")
    if action is Action.RETRY:
        later = Execution.objects.filter(retried_from_id=OuterRef("pk"))
        return outermost.filter(~Exists(later), status__in=RETRIED)
    # What is being cancelled can neither be held nor let go on.
    going = outermost.filter(status__in=set(Status) - FINAL - {Status.CANCELLING})
    return going if action is Action.CANCEL else going.filter(is_paused=action is Action.RESUME)


def count(found: ExecutionQuerySet) -> int:
    """Return how many there are; beyond the most that can be acted on, one more."""
    return len(found.values_list("pk", flat=True)[: MOST + 1])


def carry_out(act: Act, found: ExecutionQuerySet, *, limit: int) -> list[Done]:
    """Do it with each, so many at the most and for so long, and return what came of it."""
    ends_at = time.monotonic() + LONGEST_S
    return [_one(act, execution) for execution in takewhile(lambda _: time.monotonic() < ends_at, found[:limit])]


def _one(act: Act, execution: Execution) -> Done:
    try:
        return Done(execution.pk, act(execution))
    except AppError as error:
        return Done(execution.pk, error=error)
