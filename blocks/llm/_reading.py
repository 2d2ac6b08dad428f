"""Reading what a model says, at once or piece by piece. The SDK checks nothing of what it reads: any part of it may be missing."""

from __future__ import annotations

from asyncio import Timeout, get_running_loop
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from blocks.llm._clients import PATIENCE
from blocks.llm._errors import broken_off, declined, unreadable
from blocks.llm._usage import Meter


@dataclass(slots=True)
class Call:
    """A tool that the model wants called, as it wrote it."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Said:
    """What the model said."""

    text: str | None = None
    refusal: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str = ""

    def checked(self) -> Said:
        """Return it if it is a reply.

        Raises:
            BlockError: the model declined, or there is nothing in it.
        """
        if self.refusal or self.finish == "content_filter":
            raise declined(self.refusal)
        if self.text is None and not self.calls:
            raise unreadable()
        return self


def read_whole(completion: Any, meter: Meter) -> Said:
    """Return what a reply that came at once says."""
    meter.heard(getattr(completion, "usage", None))
    choice = _first(getattr(completion, "choices", None))
    message = getattr(choice, "message", None)
    said = Said(
        text=_text(message, "content"),
        refusal=_text(message, "refusal") or "",
        calls=[_add_call(Call(), call) for call in _list(message, "tool_calls")],
        finish=_text(choice, "finish_reason") or "",
    )
    meter.made += [said.text or "", *(call.name + call.arguments for call in said.calls)]
    return said


async def read_pieces(chunks: AsyncIterator[Any], meter: Meter, limit: Timeout, show: Callable[[str], None]) -> Said:
    """Return what a reply says that comes piece by piece; each has to come before `limit`, which is moved on. Its text is shown meanwhile.

    Raises:
        BlockError: it broke off.
    """
    loop = get_running_loop()
    ends_at = loop.time() + PATIENCE.total_s
    said, calls = Said(), dict[int, Call]()
    async for chunk in chunks:
        meter.heard(getattr(chunk, "usage", None))
        choice = _first(getattr(chunk, "choices", None))
        if choice is not None:
            limit.reschedule(min(ends_at, loop.time() + PATIENCE.piece_s))
            before = len(said.text or "")
            _add(said, calls, choice, meter)
            show((said.text or "")[before:])
    if not said.finish:
        raise broken_off()
    said.calls = [calls[index] for index in sorted(calls)]
    return said


def _add(said: Said, calls: dict[int, Call], choice: Any, meter: Meter) -> None:
    delta = getattr(choice, "delta", None)
    if (text := _text(delta, "content")) is not None:
        said.text = (said.text or "") + text
        meter.made.append(text)
    said.refusal += _text(delta, "refusal") or ""
    for piece in _list(delta, "tool_calls"):
        index = getattr(piece, "index", None)
        call = calls.setdefault(index if isinstance(index, int) else 0, Call())
        before = len(call.name + call.arguments)
        _add_call(call, piece)
        meter.made.append((call.name + call.arguments)[before:])
    said.finish = _text(choice, "finish_reason") or said.finish


def _add_call(call: Call, piece: Any) -> Call:
    function = getattr(piece, "function", None)
    call.id = call.id or _text(piece, "id") or ""
    call.name += _text(function, "name") or ""
    call.arguments += _text(function, "arguments") or ""
    return call


def _text(holder: Any, name: str) -> str | None:
    value = getattr(holder, name, None)
    return value if isinstance(value, str) else None


def _list(holder: Any, name: str) -> list[Any]:
    value = getattr(holder, name, None)
    return value if isinstance(value, list) else []


def _first(choices: Any) -> Any:
    return choices[0] if isinstance(choices, list) and choices else None
