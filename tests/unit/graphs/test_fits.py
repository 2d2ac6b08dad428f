"""Types that can never fit are told; whatever a schema takes in fact is never called impossible."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import product
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Json, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from graphs.fits import fits, kinds, part
from graphs.pins import parse


class Color(Enum):
    RED = "red"
    ONE = 1


class Person(BaseModel):
    name: str
    friends: list[Person] = []


class Pair(TypedDict):
    a: int


#: JSON values by the JSON type that they show.
SAMPLES = {
    "string": [
        "",
        "red",
        "1",
        "1.5",
        "true",
        "2020-01-01",
        "10:00",
        "P1D",
        "[1]",
        "00000000-0000-0000-0000-000000000000",
    ],
    "integer": [0, 1, 1_600_000_000],
    "number": [0.5, 2.0],
    "boolean": [True, False],
    "array": [[], [1], ["a"], [["a", 1]]],
    "object": [{}, {"a": 1}, {"name": "x"}],
    "null": [None],
}
SINKS = [
    str, int, float, bool, bytes, list[int], list[str], set[str], tuple[int, str], tuple[int, ...],
    dict[str, int], dict[str, Any], Person,
    Pair, None, Any, date, datetime, time, timedelta, Decimal, UUID, Color, Literal["red", 1], Json[list[int]],
    str | None, int | list[str],
]  # fmt: skip


@pytest.mark.parametrize(("kind", "sink"), list(product(SAMPLES, SINKS)))
def test_what_a_schema_takes_is_never_called_impossible(kind, sink):
    adapter = TypeAdapter(sink)
    taken = [value for value in SAMPLES[kind] if _takes(adapter, value)]

    possible = fits({"type": kind}, adapter.json_schema(mode="validation"))

    assert possible or not taken


def _takes(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("p_#_name", {"string"}),
        ("p_#_friends", {"array"}),
        ("p_#_friends_$_0_#_friends_$_3_#_name", {"string"}),
        ("p_@_name", {"string"}),
    ],
)
def test_the_schema_of_a_part_is_found_through_references(address, expected):
    schema = part(TypeAdapter(Person).json_schema(), parse(address))

    assert kinds(schema) == expected


def test_nothing_is_known_of_a_part_of_one_of_several():
    assert part(TypeAdapter(list[int] | dict[str, str]).json_schema(), parse("p_$_0")) == {}


def test_a_schema_that_refers_to_itself_for_ever_is_anything():
    endless = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}

    assert fits({"type": "string"}, endless)
