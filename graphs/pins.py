"""Pin addresses: which pin of a node a link touches, and which part of the value on it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from graphs.errors import BadPinName, PinConflict

KEY, INDEX, ATTRIBUTE = "#", "$", "@"
MAX_ADDRESS_LENGTH = 400
MAX_STEPS = 16
#: A gap before an index is padded, so an index is also an amount of memory.
MAX_INDEX = 9_999

_SEPARATOR = re.compile(r"_([#$@])_")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_DIGITS = re.compile(r"0|[1-9][0-9]{0,8}")

Step = tuple[str, str | int]


class _Missing:
    """The type of `MISSING`: what a part that is not there drills to."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Pin:
    """A pin, and the steps into its value: `("#", key)`, `("$", index)`, `("@", attribute)`."""

    name: str
    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return self.name + "".join(f"_{kind}_{where}" for kind, where in self.steps)


@lru_cache(maxsize=8192)
def parse(address: str) -> Pin:
    """Return the pin that `address` names.

    Raises:
        BadPinName: the address is malformed.
    """
    if len(address) > MAX_ADDRESS_LENGTH:
        raise BadPinName(f"The pin's name has {len(address)} characters; {MAX_ADDRESS_LENGTH} are allowed.")
    name, *parts = _SEPARATOR.split(address)
    if not _NAME.fullmatch(name):
        raise BadPinName(f"{address!r} does not begin with a pin's name: letters, digits and `_`, a letter first.")
    if len(parts) > 2 * MAX_STEPS:
        raise BadPinName(f"{address!r} has more than {MAX_STEPS} steps.")
    return Pin(name, tuple(_step(address, kind, where) for kind, where in zip(parts[::2], parts[1::2], strict=True)))


def _step(address: str, kind: str, where: str) -> Step:
    if kind == INDEX:
        if not _DIGITS.fullmatch(where) or int(where) > MAX_INDEX:
            raise BadPinName(f"In {address!r}, {where!r} is not an index: a whole number from 0 to {MAX_INDEX}.")
        return kind, int(where)
    if not where or "\0" in where:
        raise BadPinName(f"In {address!r}, nothing usable follows `_{kind}_`.")
    # Names with an underscore first are how Python objects reach their inside.
    if kind == ATTRIBUTE and not _NAME.fullmatch(where):
        raise BadPinName(f"In {address!r}, {where!r} is not an attribute: letters, digits and `_`, a letter first.")
    return kind, where


def drill(value: Any, pin: Pin) -> Any:
    """Return the part of `value` that the steps of `pin` lead to, or `MISSING`."""
    for kind, where in pin.steps:
        value = _take(value, kind, where)
        if value is MISSING:
            return MISSING
    return value


def _take(value: Any, kind: str, where: str | int) -> Any:
    if isinstance(value, Mapping):
        return MISSING if kind == INDEX else value.get(where, MISSING)
    if isinstance(where, int):
        return value[where] if isinstance(value, list | tuple) and where < len(value) else MISSING
    if kind == ATTRIBUTE:
        return _attribute(value, where)
    return MISSING


def _attribute(value: Any, name: str) -> Any:
    try:
        found = getattr(value, name, MISSING)
    except Exception:  # noqa: BLE001 - a property is foreign code; one that fails has no value to give
        return MISSING
    return MISSING if callable(found) else found


def assemble(constants: Mapping[str, Any], arrived: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the values of a firing by pin: the constant, then a link to the whole pin, then links into parts of it.

    `arrived` is in link order. Nothing given is changed: containers that receive a part are copied.

    Raises:
        BadPinName: an address is malformed.
        PinConflict: a part is to be put into something that can not have it.
    """
    values = dict(constants)
    parts: list[tuple[Pin, Any]] = []
    for address, value in arrived:
        pin = parse(address)
        if pin.steps:
            parts.append((pin, value))
        else:
            values[pin.name] = value
    for pin, value in parts:
        values[pin.name] = _put(values.get(pin.name), pin, 0, value)
    return values


def _put(container: Any, pin: Pin, depth: int, value: Any) -> Any:
    """Return a copy of `container` with `value` at the steps of `pin` from `depth` on."""
    if depth == len(pin.steps):
        return value
    where = pin.steps[depth][1]
    if isinstance(where, int):
        items = _copy(container, list | tuple, list, pin)
        items.extend([None] * (where + 1 - len(items)))
        items[where] = _put(items[where], pin, depth + 1, value)
        return items
    entries = _copy(container, Mapping, dict, pin)
    entries[where] = _put(entries.get(where), pin, depth + 1, value)
    return entries


def _copy(container: Any, accepted: Any, kind: type, pin: Pin) -> Any:
    # None counts as nothing there yet: it is what a gap was padded with.
    if container is None:
        return kind()
    if not isinstance(container, accepted):
        raise PinConflict(f"{str(pin)!r} needs a {kind.__name__} but {pin.name!r} holds {type(container).__name__}.")
    return kind(container)
