"""How a block lets go of its worker until something comes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ValidationError

from agentplatform.lib.clock import now
from blocks.jsonable import clean_text, jsonable
from blocks.sdk.errors import BlockError

#: What is shorter is slept on the worker; the firing lets go of it only for what is longer.
LONGEST_SLEEP_S: Final = 30.0
#: A year, also one with a day more.
LONGEST_WAIT_S: Final = 366 * 86_400.0
MAX_KEY, MAX_TEXT = 60, 200

TimeoutAction = Literal["fail", "approve", "reject"]


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
    #: What is shown to the person; of an event, what it must contain.
    data: Any = None
    #: The person may change the data before approving.
    is_editable: bool = False
    #: By id or by name until the platform has looked them up.
    allowed_users: Sequence[int | str] = ()
    allowed_groups: Sequence[int | str] = ()
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


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person said, or what the time that was over said for them."""

    approved: bool
    #: The form as it was filled in, an instance of its model; None without a form, where it was left empty, and where nobody answered.
    answer: Any = None
    #: What was shown, as the person left it.
    data: Any = None
    #: The name of the user; empty where nobody answered in time.
    answered_by: str = ""
    comment: str = ""


@dataclass(slots=True)
class Calls:
    """Counts the waits of one attempt, so that each finds its own answer when the block runs again."""

    count: int = 0

    def next(self, key: str | None) -> str:
        """Return the call key of the next wait: its number, unless the block names it.

        Raises:
            BlockError: the name is empty or too long.
        """
        if key is not None:
            return key_of(key)
        self.count += 1
        return f"wait-{self.count - 1}"


def key_of(name: str) -> str:
    """Return the call key of a wait that its block has named.

    Raises:
        BlockError: the name is empty or too long.
    """
    return f"key-{_text('The key of a wait', name, MAX_KEY)}"


def timer(call_key: str, seconds: float) -> WaitFor:
    """Return a wait for so many seconds.

    Raises:
        BlockError: that is less than nothing, or more than a year.
    """
    return WaitFor("TIMER", call_key, due_in_s=_seconds(seconds))


def timer_until(call_key: str, moment: datetime) -> WaitFor:
    """Return a wait until a moment; one that has passed is no wait.

    Raises:
        BlockError: the moment has no time zone, or is more than a year away.
    """
    if moment.tzinfo is None:
        raise _invalid("The moment has no time zone.")
    return WaitFor("TIMER", call_key, due_at=moment, due_in_s=_seconds(max(0.0, (moment - now()).total_seconds())))


def approval(
    call_key: str,
    title: str,
    form: type[BaseModel] | None,
    *,
    data: Any,
    editable: bool,
    users: Sequence[int | str],
    groups: Sequence[int | str],
    timeout_s: float | None,
    on_timeout: TimeoutAction,
) -> WaitFor:
    """Return a wait for a person.

    Raises:
        BlockError: what is shown has no JSON form, or something else about it can not be.
    """
    if on_timeout not in ("fail", "approve", "reject"):
        raise _invalid(f"on_timeout is `fail`, `approve` or `reject`, not {on_timeout!r}.")
    return WaitFor(
        "APPROVAL",
        call_key,
        title=_text("The title of an approval", title, MAX_TEXT),
        form=form_of(form) if form else {},
        data=_shown(data),
        is_editable=editable,
        allowed_users=tuple(users),
        allowed_groups=tuple(groups),
        timeout_action=on_timeout,
        due_in_s=None if timeout_s is None else _seconds(timeout_s),
    )


def form_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a form, and in `x-order` its fields in order: where it is stored, an object has none."""
    schema = model.model_json_schema()
    return {**schema, "x-order": list(schema.get("properties", {}))}


def event(call_key: str, name: str, *, where: Mapping[str, Any] | None, timeout_s: float | None) -> WaitFor:
    """Return a wait for an event.

    Raises:
        BlockError: something about it can not be.
    """
    return WaitFor(
        "EVENT",
        call_key,
        event=_text("The name of an event", name, MAX_TEXT),
        data=_shown(dict(where)) if where else None,
        timeout_action="fail",
        due_in_s=None if timeout_s is None else _seconds(timeout_s),
    )


async def slept(wait: WaitFor) -> bool:
    """Let a short time pass here. Return whether the wait is over with that; anything else has to be suspended for."""
    if wait.kind != "TIMER" or wait.due_in_s is None or wait.due_in_s > LONGEST_SLEEP_S:
        return False
    await asyncio.sleep(wait.due_in_s)
    return True


def approval_from(came: Mapping[str, Any], form: type[BaseModel] | None) -> Approval:
    """Return what came for an approval.

    Raises:
        BlockError: nobody answered in time, and that lets it fail; or the answer does not fit the form.
    """
    if came["status"] == "TIMED_OUT":
        if came["timeout_action"] == "fail":
            raise BlockError(
                "Nobody answered in time.",
                code="APPROVAL_TIMED_OUT",
                hint="Give it more time, or say what happens without an answer.",
            )
        return Approval(came["timeout_action"] == "approve", data=came["data"])
    given = came["answer"]
    return Approval(
        approved=given["approved"],
        answer=_filled_in(form, given.get("answer")),
        data=given.get("data", came["data"]),
        answered_by=came["answered_by"],
        comment=came["comment"],
    )


def is_timed_out(came: Mapping[str, Any]) -> bool:
    """Say whether the time was over before anything came."""
    return bool(came["status"] == "TIMED_OUT")


def _filled_in(form: type[BaseModel] | None, answer: Any) -> Any:
    if form is None or answer is None:
        return answer
    try:
        return form.model_validate(answer)
    except ValidationError as error:
        told = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, told["loc"]))
        raise BlockError(
            f"The answer does not fit the form: {f'{place}: ' if place else ''}{told['msg']}.",
            code="ANSWER_INVALID",
            hint="A form can say in its JSON schema only what JSON schema knows; ask again with another key.",
        ) from None


def _seconds(seconds: float) -> float:
    # Written so that NaN is refused too.
    if not 0 <= seconds <= LONGEST_WAIT_S:
        raise _invalid(f"{seconds:g} seconds can not be waited for: from 0 to a year is allowed.")
    return float(seconds)


def _text(what: str, text: str, longest: int) -> str:
    cleaned = clean_text(text).strip()
    if not 0 < len(cleaned) <= longest:
        raise _invalid(f"{what} has from 1 to {longest} characters.")
    return cleaned


def _shown(data: Any) -> Any:
    try:
        return jsonable(data)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"What is shown can not be stored: {error}.") from None


def _invalid(message: str) -> BlockError:
    return BlockError(message, code="WAIT_INVALID")
