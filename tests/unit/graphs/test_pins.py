"""Pin addresses: parsing, drilling into values, assembling a firing's values."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs.errors import BadPinName, PinConflict
from graphs.pins import MAX_INDEX, MISSING, Pin, assemble, drill, parse

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,6}", fullmatch=True)
keys = st.text(alphabet="abcXYZ 019-.é", min_size=1, max_size=5)
steps = st.one_of(
    st.tuples(st.just("#"), keys),
    st.tuples(st.just("$"), st.integers(0, 5)),
    st.tuples(st.just("@"), st.from_regex(r"[a-z][a-z0-9]{0,4}", fullmatch=True)),
)
pins = st.builds(Pin, names.filter(lambda name: not name.endswith("_")), st.lists(steps, max_size=4).map(tuple))
values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("address", "pin"),
    [
        ("text", Pin("text")),
        ("out_#_key", Pin("out", (("#", "key"),))),
        ("out_$_0", Pin("out", (("$", 0),))),
        ("out_@_attr", Pin("out", (("@", "attr"),))),
        ("out_#_my key_$_12_@_name", Pin("out", (("#", "my key"), ("$", 12), ("@", "name")))),
        ("snake_case_#_also_here", Pin("snake_case", (("#", "also_here"),))),
        ("out_#_#", Pin("out", (("#", "#"),))),
    ],
)
def test_an_address_names_a_pin_and_the_steps_into_it(address, pin):
    parsed = parse(address)

    assert parsed == pin
    assert str(parsed) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        " text",
        "_private",
        "1st",
        "a b",
        "a-b",
        "out_#_",
        "_#_key",
        "out_$_",
        "out_$_x",
        "out_$_-1",
        "out_$_01",
        "out_$_1.5",
        f"out_$_{MAX_INDEX + 1}",
        "out_$_" + "9" * 300,
        "out_@_",
        "out_@___class__",
        "out_@_a b",
        "out_#",
        "out_#_a\0",
        "a" + "_#_k" * 17,
        "a" * 401,
        "out_$_٣",
        "text\n",
    ],
)
def test_a_malformed_address_is_refused_with_a_hint(address):
    with pytest.raises(BadPinName) as refused:
        parse(address)

    assert refused.value.code == "BAD_PIN_NAME"
    assert refused.value.hint


@given(pins)
def test_every_pin_survives_being_written_and_read(pin):
    assert parse(str(pin)) == pin


@given(st.text(alphabet="ab_#$@01", max_size=20))
def test_any_text_is_read_back_as_written_or_refused(address):
    try:
        pin = parse(address)
    except BadPinName:
        return
    assert str(pin) == address


@dataclass
class Thing:
    size: int = 3
    _secret: str = "x"

    @property
    def broken(self) -> int:
        raise RuntimeError("no")

    def method(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("value", "address", "part"),
    [
        ({"a": 1}, "o", {"a": 1}),
        ({"a": 1}, "o_#_a", 1),
        ({"a": None}, "o_#_a", None),
        ({"a": [5, {"b": 2}]}, "o_#_a_$_1_#_b", 2),
        ({"a": 1}, "o_@_a", 1),
        (Thing(), "o_@_size", 3),
        ((1, 2), "o_$_1", 2),
        ({"a": 1}, "o_#_b", MISSING),
        ([1], "o_$_1", MISSING),
        ([1], "o_#_a", MISSING),
        ({"0": 1}, "o_$_0", MISSING),
        ("text", "o_$_0", MISSING),
        ("text", "o_#_a", MISSING),
        ("text", "o_@_upper", MISSING),
        (None, "o_#_a_$_0", MISSING),
        (Thing(), "o_@_gone", MISSING),
        (Thing(), "o_@_broken", MISSING),
        (Thing(), "o_@_method", MISSING),
        (Thing(), "o_#_size", MISSING),
    ],
)
def test_drilling_finds_the_part_or_misses_it_and_never_fails(value, address, part):
    assert drill(value, parse(address)) == part


@given(values, pins)
def test_drilling_into_anything_never_fails(value, pin):
    drill(value, pin)


@pytest.mark.parametrize(
    ("constants", "arrived", "assembled"),
    [
        ({"a": 1, "b": 2}, [], {"a": 1, "b": 2}),
        ({"a": 1}, [("a", 5)], {"a": 5}),
        ({}, [("v_#_x", 1), ("v_#_y", 2)], {"v": {"x": 1, "y": 2}}),
        ({"v": {"x": 0, "z": 9}}, [("v_#_x", 1)], {"v": {"x": 1, "z": 9}}),
        ({"v": {"x": 0}}, [("v_#_y", 2), ("v", {"w": 1})], {"v": {"w": 1, "y": 2}}),
        ({}, [("v_#_x", 1), ("v_#_x", 2)], {"v": {"x": 2}}),
        ({}, [("l_$_2", "c")], {"l": [None, None, "c"]}),
        ({}, [("l_$_2", "c"), ("l_$_0", "a")], {"l": ["a", None, "c"]}),
        ({"l": [1, 2]}, [("l_$_1", 5)], {"l": [1, 5]}),
        ({}, [("l_$_1_#_k", 5), ("l_$_0_#_k", 4)], {"l": [{"k": 4}, {"k": 5}]}),
        ({}, [("o_@_size", 5)], {"o": {"size": 5}}),
        ({"v": None}, [("v_#_x", 1)], {"v": {"x": 1}}),
    ],
)
def test_values_are_the_constant_then_the_whole_pin_then_its_parts(constants, arrived, assembled):
    assert assemble(constants, arrived) == assembled


@pytest.mark.parametrize(
    ("constants", "address"),
    [({"v": "text"}, "v_#_x"), ({"v": [1]}, "v_#_x"), ({"v": {"a": 1}}, "v_$_0"), ({"v": 1}, "v_@_x")],
)
def test_a_part_of_what_has_no_such_parts_is_a_conflict(constants, address):
    with pytest.raises(PinConflict):
        assemble(constants, [(address, 1)])


def test_a_bad_list_index_is_an_error():
    with pytest.raises(BadPinName):
        assemble({}, [("l_$_-1", 1)])


@given(st.dictionaries(names, values, max_size=3), st.lists(st.tuples(pins.map(str), values), max_size=4))
def test_assembling_changes_nothing_it_was_given(constants, arrived):
    before = deepcopy((constants, arrived))

    try:
        assembled = assemble(constants, arrived)
    except PinConflict:
        assembled = None

    assert (constants, arrived) == before
    assert assembled is not constants


@given(st.lists(st.tuples(pins, values), min_size=1, max_size=4))
def test_what_arrives_last_on_an_address_is_found_there(arrived):
    try:
        assembled = assemble({}, [(str(pin), value) for pin, value in arrived])
    except PinConflict:
        return
    wholes = [entry for entry in arrived if not entry[0].steps]
    pin, value = [*wholes, *(entry for entry in arrived if entry[0].steps)][-1]
    assert drill(assembled[pin.name], pin) == value
