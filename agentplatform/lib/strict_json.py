"""JSON as it is taken from outside: what could not be stored, would mean two things, or costs more to read than it is worth is refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from agentplatform.lib.errors import AppError

#: An entry of an object is counted wherever it stands.
MAX_ENTRIES = 250_000

# A string is one token, so that brackets in it do not count; so is one that never ends: the scan stays linear.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


class JsonRefused(AppError):
    """The body of the request is not JSON that is taken here."""

    code = "REQUEST_JSON_INVALID"
    hint = "Send JSON in UTF-8, without NaN, keys that stand twice, NUL or halves of surrogate pairs."


def parse(text: bytes | str, *, max_depth: int, refuse: type[AppError] = JsonRefused) -> Any:
    """Return the data that a text holds: only dicts with text keys, lists, text, finite numbers, booleans and None.

    Raises:
        JsonRefused: or what is given as `refuse`, with the path of what is wrong where there is one.
    """
    decoded = decode(text, refuse=refuse) if isinstance(text, bytes) else text
    depth = 0
    for token in _TOKEN.finditer(decoded):
        depth += _STEPS.get(token[0], 0)
        if depth > max_depth:
            raise refuse(f"It is nested more than {max_depth} deep.", hint="Flatten it.")
    try:
        data = json.loads(decoded, object_pairs_hook=_unique(refuse), parse_constant=_refuse_constant(refuse))
    # ValueError is also what Python says to a whole number of thousands of digits.
    except ValueError as error:
        raise refuse(f"It is not JSON: {error}.") from None
    check_plain(data, max_depth=max_depth, refuse=refuse)
    return data


def decode(text: bytes, *, refuse: type[AppError] = JsonRefused) -> str:
    """Return bytes of UTF-8 as text.

    Raises:
        JsonRefused: or what is given as `refuse`: they are something else.
    """
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse(f"It is not UTF-8: {error.reason} at byte {error.start}.") from None


def check_plain(
    value: Any, path: str = "", *, max_depth: int, depth: int = 0, refuse: type[AppError] = JsonRefused
) -> None:
    """Raise if `value` is not plain data that JSON and Postgres can hold.

    Raises:
        JsonRefused: or what is given as `refuse`, with the path of the first such value.
    """
    if depth > max_depth:
        raise refuse(f"It is nested more than {max_depth} deep.", hint="Flatten it.")
    if isinstance(value, dict):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise refuse(f"The key {key!r} is not text.", path=path, hint="Put it in quotes.")
            _check_text(key, path, refuse)
            at = f"{path}.{key}" if path else key
            check_plain(entry, at, max_depth=max_depth, depth=depth + 1, refuse=refuse)
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            check_plain(entry, f"{path}[{index}]", max_depth=max_depth, depth=depth + 1, refuse=refuse)
    elif isinstance(value, str):
        _check_text(value, path, refuse)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise refuse(f"{value} is not a number that JSON knows.", path=path)
    elif value is not None and not isinstance(value, int):
        raise refuse(f"A {type(value).__name__} is not JSON.", path=path)


def unique(pairs: Iterable[tuple[Any, Any]], *, refuse: type[AppError] = JsonRefused) -> dict[Any, Any]:
    """Return pairs as a dict.

    Raises:
        JsonRefused: or what is given as `refuse`: a key stands twice.
    """
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise refuse(f"The key {key!r} stands twice in one place.", hint="Keep one of the two.")
        found[key] = value
    return found


def _unique(refuse: type[AppError]) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    count = 0

    def make(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal count
        count += len(pairs)
        if count > MAX_ENTRIES:
            raise refuse(f"It has more than {MAX_ENTRIES:,} entries.", hint="Send less at once.")
        return unique(pairs, refuse=refuse)

    return make


def _refuse_constant(refuse: type[AppError]) -> Callable[[str], NoReturn]:
    def raise_it(name: str) -> NoReturn:
        raise refuse(f"{name} is not a number that JSON knows.")

    return raise_it


def _check_text(text: str, path: str, refuse: type[AppError]) -> None:
    if _UNSTORABLE.search(text):
        raise refuse("A text contains NUL or half of a surrogate pair.", path=path, hint="Remove it.")
