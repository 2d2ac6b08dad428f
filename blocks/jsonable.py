"""Values as JSON can hold them and Postgres can store them: the form in which everything travels between blocks."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

MAX_DEPTH = 64
#: Python refuses to print longer ones, and JSON readers lose their digits far earlier.
MAX_INTEGER_BITS = 4096
REPLACEMENT = "\ufffd"


def jsonable(value: Any) -> Any:
    """Return a copy of `value` made of None, bool, int, float, str, list and dict only.

    Characters that Postgres can not store (NUL, lone surrogates) become U+FFFD.

    Raises:
        ValueError: the value, or a part of it, has no such form: NaN, an infinite number, an endless structure, an object.
    """
    return _plain(value, MAX_DEPTH)


def clean_text(text: str) -> str:
    """Return `text` with U+FFFD in the place of each character that can not be stored."""
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(REPLACEMENT if "\ud800" <= character <= "\udfff" else character for character in text)
    return text


def clean_int(number: int) -> int:
    """Return `number`.

    Raises:
        ValueError: it is too long for JSON.
    """
    if number.bit_length() > MAX_INTEGER_BITS:
        raise ValueError(f"a whole number of more than {MAX_INTEGER_BITS} bits can not be stored")
    return number


def clean_float(number: float) -> float:
    """Return `number`.

    Raises:
        ValueError: it is NaN or infinite, which JSON does not know.
    """
    if not isfinite(number):
        raise ValueError(f"{number} is not a number that JSON knows")
    return number


_SCALARS: dict[type, Callable[[Any], Any]] = {
    str: clean_text,
    int: clean_int,
    float: clean_float,
    bool: lambda value: value,
    type(None): lambda value: value,
}


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        return scalar(value)
    if depth == 0:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
    if kind is list:
        return [_plain(item, depth - 1) for item in value]
    if kind is dict:
        return {_key(key): _plain(item, depth - 1) for key, item in value.items()}
    return _plain(_converted(value), depth - 1)


def _key(key: Any) -> str:
    if type(key) is str:
        return clean_text(key)
    # A model's dump writes other keys as JSON does: numbers, dates and booleans as text.
    return clean_text(next(iter(_converted({key: None}))))


def _converted(value: Any) -> Any:
    try:
        return to_jsonable_python(value, by_alias=False)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise ValueError(f"a {type(value).__name__} has no JSON form") from error
