"""How waits end: somebody answers, an event comes, the time is over, a child has ended. All let the firing go on in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from pydantic_core import to_json

from agentplatform.lib.clock import now
from executions import decisions, launch, statements
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.errors import AlreadyAnswered, AnswerInvalid, AnswerTooLate, EventInvalid, WaitClosed
from executions.forms import check_filled_in
from executions.models import Execution, NodeExecution, Wait
from executions.plans import plan_of
from executions.storable import storable
from integrations.masks import mask_for

#: Of one round of a sweep, and how many rounds follow each other while there is more.
AT_ONCE, ROUNDS = 500, 20
MAX_COMMENT, MAX_EVENT = 10_000, 200
UNCHANGED: Final = object()

_GOING = Q(status__in=(Status.RUNNING, Status.WAITING), is_stopping=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person answers."""

    #: Of an approval: yes or no. A decision has none.
    approved: bool | None = None
    #: What the form asks for.
    answer: Any = None
    #: What the person made of the data, where it is theirs to change.
    data: Any = UNCHANGED
    comment: str = ""


def answer(wait: Wait, *, by: AbstractBaseUser, reply: Reply) -> Wait:
    """Keep what somebody answers who may, and let the firing go on. The same answer again, by the same person, changes nothing.

    Raises:
        AnswerInvalid: it is not what was asked for.
        AlreadyAnswered, AnswerTooLate, WaitClosed: nobody waits for it any more.
    """
    reply = _masked(wait, reply)
    if wait.status == WaitStatus.OPEN:
        given, comment = _checked(wait, reply), _comment(reply)
        with transaction.atomic(durable=True):
            if _close(wait, answer=given, comment=comment, answered_by=by, answered_at=Now()):
                transaction.on_commit(partial(launch.launch, [wait.execution_id]), robust=True)
    wait = Wait.objects.with_names().select_related("answered_by").get(pk=wait.pk)
    if not _is_theirs(wait, by, reply):
        raise _refusal(wait)
    return wait


def send_event(*, owner_id: int, name: str, payload: Any = None) -> int:
    """Give an event to every firing of this owner that waits for it now. Return how many do; one that nobody waits for is not kept.

    Raises:
        EventInvalid: it has no name, or its payload can not be stored.
    """
    if not 0 < len(name) <= MAX_EVENT:
        raise EventInvalid(f"The name of an event has from 1 to {MAX_EVENT} characters.", path="name")
    name, payload = storable(name, "name", EventInvalid), storable(payload, "payload", EventInvalid)
    payload = mask_for(owner_id).value(payload)
    with transaction.atomic(durable=True):
        return tell(owner_id=owner_id, name=name, payload=payload)


def tell(*, owner_id: int, name: str, payload: Any) -> int:
    """Give an event that can be stored to every firing of this owner that waits for it, in the caller's transaction. Return how many do."""
    with statements.cursor() as cursor:
        statements.run(cursor, "answer_event", owner_id=owner_id, event=name, payload=to_json(payload).decode())
        woken = dict(cursor.fetchall())
    if woken:
        transaction.on_commit(partial(launch.launch, list(woken)), robust=True)
    return sum(woken.values())


def time_out() -> list[UUID]:
    """Close the waits whose time is over. Return the executions that go on."""
    going: list[UUID] = []
    for _ in range(ROUNDS):
        with statements.cursor() as cursor:
            statements.run(cursor, "time_out", limit=AT_ONCE)
            closed = cursor.fetchall()
        going += [execution_id for execution_id, is_paused in closed if not is_paused]
        if not closed:
            break
    return going


def wake_parents(child_ids: Sequence[UUID]) -> list[UUID]:
    """Let go on what waits for these executions, as far as they have ended. Return the executions that go on."""
    with statements.cursor() as cursor:
        statements.run(cursor, "wake_parents", children=list(child_ids))
        return [execution_id for (execution_id,) in cursor]


def wake_forgotten_parents() -> list[UUID]:
    """Let go on what still waits for executions that have ended. Return the executions that go on."""
    with statements.cursor() as cursor:
        statements.run(cursor, "ended_children", limit=AT_ONCE)
        children = [child_id for (child_id,) in cursor]
    return wake_parents(children) if children else []


def _close(wait: Wait, **fields: Any) -> bool:
    """Close an open wait as answered, and let its firing be claimed again. Return False if it is too late for that."""
    # The execution first, as whoever settles, cancels or times out does.
    going = Execution.objects.select_for_update(no_key=True).filter(_GOING, pk=wait.execution_id)
    if not going.values_list("pk"):
        return False
    in_time = Wait.objects.filter(Q(due_at__isnull=True) | Q(due_at__gt=Now()), pk=wait.pk)
    if not in_time.close(WaitStatus.ANSWERED, **fields):
        return False
    firing = NodeExecution.objects.filter(
        execution_id=wait.execution_id, node_key=wait.node_key, item_path=wait.item_path, status=NodeStatus.WAITING
    )
    firing.move(NodeStatus.PENDING, due_at=Now(), error_code="", error_message="", error_hint="")
    Execution.objects.filter(pk=wait.execution_id).update(launched_at=Now())
    return True


def _checked(wait: Wait, reply: Reply) -> dict[str, Any]:
    """Return an answer as it is stored.

    Raises:
        AnswerInvalid: it is not what was asked for.
    """
    if wait.kind == WaitKind.DECISION:
        if reply.approved is not None or reply.data is not UNCHANGED:
            raise AnswerInvalid("This is no approval: it is decided by what `answer` says.")
        version_id = Execution.objects.values_list("version_id", flat=True).get(pk=wait.execution_id)
        plan = plan_of(version_id)
        node = plan.nodes[plan.index_of[wait.node_key]]
        return decisions.check(node.block_id, storable(reply.answer, "answer", AnswerInvalid))
    return _checked_approval(wait, reply)


def _checked_approval(wait: Wait, reply: Reply) -> dict[str, Any]:
    if reply.approved is None:
        raise AnswerInvalid("It says neither yes nor no.", path="approved")
    given: dict[str, Any] = {"approved": reply.approved}
    if reply.answer is not None:
        given["answer"] = storable(reply.answer, "answer", AnswerInvalid)
    # Who rejects need not fill the form in.
    if reply.approved or reply.answer is not None:
        check_filled_in(wait.form, given.get("answer"))
    if reply.data is not UNCHANGED:
        if not (wait.is_editable and reply.approved):
            raise AnswerInvalid(
                "The data is changed only by who approves, and only where that is allowed.", path="data"
            )
        given["data"] = storable(reply.data, "data", AnswerInvalid)
    return given


def _masked(wait: Wait, reply: Reply) -> Reply:
    mask = mask_for(Execution.objects.values_list("owner_id", flat=True).get(pk=wait.execution_id))
    return replace(
        reply, answer=mask.value(reply.answer), data=mask.value(reply.data), comment=mask.text(str(reply.comment))
    )


def _comment(reply: Reply) -> str:
    if len(reply.comment) > MAX_COMMENT:
        raise AnswerInvalid(f"A comment has at most {MAX_COMMENT:,} characters.", path="comment")
    comment: str = storable(reply.comment, "comment", AnswerInvalid)
    return comment


def _is_theirs(wait: Wait, by: AbstractBaseUser, reply: Reply) -> bool:
    """Say whether this very answer of this person is what stands."""
    if wait.status != WaitStatus.ANSWERED or wait.answered_by_id != by.pk or wait.comment != reply.comment:
        return False
    try:
        return bool(_checked(wait, reply) == wait.answer)
    except AnswerInvalid:
        return False


def _refusal(wait: Wait) -> AlreadyAnswered | AnswerTooLate | WaitClosed:
    """Return what became of a wait that nobody can answer any more."""
    at = f"{wait.answered_at:%Y-%m-%d %H:%M:%S} UTC" if wait.answered_at else ""
    if wait.status == WaitStatus.ANSWERED:
        return AlreadyAnswered(f"{wait.answered_by or 'Somebody'} has answered this on {at}.")
    if wait.status == WaitStatus.TIMED_OUT or (wait.due_at and wait.due_at <= now()):
        return AnswerTooLate(f"The time for an answer was over on {wait.due_at:%Y-%m-%d %H:%M:%S} UTC.")
    execution = Execution.objects.only("status", "error_code").get(pk=wait.execution_id)
    because = f" ({execution.error_code})" if execution.error_code else ""
    return WaitClosed(f"The execution is {execution.status}{because} and does not wait for this any more.")
