"""How a block lets go of its worker until something comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class WaitFor:
    """What a firing waits for: the n-th wait of a firing always asks for the same, so that its answer is found again."""

    #: TIMER, APPROVAL, EVENT, DECISION or CHILD.
    kind: str
    #: Which wait of its firing this is.
    call_key: str
    title: str = ""
    #: The JSON schema of the answer.
    form: Mapping[str, Any] = field(default_factory=dict)
    data: Any = None
    allowed_users: Sequence[int] = ()
    allowed_groups: Sequence[int] = ()
    #: What happens when the time is over: `fail`, `approve` or `reject`.
    timeout_action: str = ""
    due_at: datetime | None = None
    due_in_s: float | None = None
    event: str = ""
    child_id: str | None = None


class Suspended(BaseException):
    """Ends an attempt whose firing waits. Not an `Exception`, so that no block takes it for a failure."""

    def __init__(self, wait: WaitFor) -> None:
        super().__init__(wait.kind)
        self.wait = wait
