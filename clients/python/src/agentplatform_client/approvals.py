"""What can be asked of approvals: what people are asked, and what they answer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from agentplatform_client.calls import Call, at, given
from agentplatform_client.types import EventSent, PaginatedWaitList, WaitDetail

Id = str | UUID


def find(*, status: str | None = None, execution: Id | None = None) -> Call[PaginatedWaitList]:
    """Find what you are asked and is still open, newest first; or what has this status."""
    return Call("GET", at("approvals"), params=given(status=status, execution=execution and str(execution)))


def get(approval: Id) -> Call[WaitDetail]:
    """Look at one, with what is shown, asked, and answered."""
    return Call("GET", at("approvals", approval))


def answer(
    approval: Id, *, approved: bool | None = None, answer: Any = None, data: Any = None, comment: str | None = None
) -> Call[WaitDetail]:
    """Answer what you are asked."""
    body = given(approved=approved, answer=answer, data=data, comment=comment)
    return Call("POST", at("approvals", approval, "answer"), json=body)


def send_event(name: str, payload: Any = None) -> Call[EventSent]:
    """Tell your executions that wait for it what has happened."""
    return Call("POST", at("events"), json=given(name=name, payload=payload))
