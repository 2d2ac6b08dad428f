"""What the outside learns of a block's pins, and what may pass them."""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import AsyncIterator
from decimal import Decimal
from enum import StrEnum
from timeit import timeit
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field

from blocks.errors import InputInvalid, OutputInvalid
from blocks.pins import input_pins, output_pins, validate_input, validate_output
from blocks.sdk import Block, BlockSchema


class Color(StrEnum):
    RED = "red"


class Cup(BaseModel):
    size: int = 1
    weight: float = 0.5
    made_on: datetime.date = datetime.date(2026, 1, 2)


class Strict(BlockSchema):
    text: str = Field(description="A text.")
    number: int = Field(default=1, ge=0)
    shown_as: str = Field(default="", alias="shownAs")


class Handle:
    """A type that pydantic knows nothing of."""


class Outputs(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    anything: Any
    text: str
    number: int
    amount: float
    flag: bool
    short: Annotated[str, Field(max_length=3)]
    texts: list[str]
    cup: Cup
    color: Color
    maybe: int | None
    handle: Handle
    things: list[Any]


class PinsBlock(Block):
    """A block with a pin of every kind."""

    id = "pins"
    name = "Pins"
    description = "Pins."
    input_schema, output_schema = Strict, Outputs

    async def execute(self, input_data: Strict) -> AsyncIterator[tuple[str, Any]]:
        yield "text", input_data.text


class TestPins:
    def test_say_what_is_required(self) -> None:
        pins = input_pins(PinsBlock)

        assert {name: pin.is_required for name, pin in pins.items()} == {
            "text": True,
            "number": False,
            "shown_as": False,
        }
        assert pins["text"].description == "A text."

    def test_have_a_json_schema_that_stands_alone(self) -> None:
        pins = output_pins(PinsBlock)

        assert pins["text"].schema["type"] == "string"
        assert pins["cup"].schema["$defs"]["Cup"]["properties"]["size"]["type"] == "integer"
        assert "$defs" not in pins["text"].schema

    def test_have_an_open_schema_where_json_knows_none(self) -> None:
        assert "type" not in output_pins(PinsBlock)["handle"].schema

    def test_always_have_one_for_errors(self) -> None:
        assert list(output_pins(PinsBlock))[-1] == "error"

    def test_are_worked_out_once(self) -> None:
        assert input_pins(PinsBlock) is input_pins(PinsBlock)


class TestValidateInput:
    def test_gives_the_block_its_input(self) -> None:
        made = validate_input(PinsBlock, {"text": "a", "shown_as": "b"})

        assert made == Strict(text="a", shownAs="b")

    @pytest.mark.parametrize(
        ("values", "path"),
        [
            ({}, "text"),
            ({"text": 1}, "text"),
            ({"text": "a", "number": -1}, "number"),
            ({"text": "a", "other": 1}, "other"),
        ],
    )
    def test_names_the_pin_that_is_wrong(self, values: dict[str, Any], path: str) -> None:
        with pytest.raises(InputInvalid) as invalid:
            validate_input(PinsBlock, values)

        assert invalid.value.as_dict()["path"] == path
        assert path in invalid.value.message

    def test_does_not_repeat_the_value(self) -> None:
        with pytest.raises(InputInvalid) as invalid:
            validate_input(PinsBlock, {"text": {"key": "sk-secret"}, "number": "sk-secret"})

        assert "sk-secret" not in invalid.value.message


class TestValidateOutput:
    @pytest.mark.parametrize(
        ("pin", "value", "stored"),
        [
            ("anything", None, None),
            ("anything", {"a": [1, 2.5, True, None, "ä"]}, {"a": [1, 2.5, True, None, "ä"]}),
            ("anything", (1, 2), [1, 2]),
            ("anything", {1: 2, None: 3}, {"1": 2, "None": 3}),
            ("anything", datetime.date(2026, 1, 2), "2026-01-02"),
            ("anything", Decimal("1.20"), "1.20"),
            ("anything", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            ("anything", [Cup()], [{"size": 1, "weight": 0.5, "made_on": "2026-01-02"}]),
            ("anything", Color.RED, "red"),
            ("anything", "a\0b", "a\ufffdb"),
            ("anything", {"a\0": "\ud800"}, {"a\ufffd": "\ufffd"}),
            ("text", "a\0b", "a\ufffdb"),
            ("text", Color.RED, "red"),
            ("number", 3, 3),
            ("number", "3", 3),
            ("amount", 1, 1.0),
            ("flag", False, False),
            ("short", "abc", "abc"),
            ("texts", ("a", "b\0"), ["a", "b\ufffd"]),
            ("cup", {"size": 2}, {"size": 2, "weight": 0.5, "made_on": "2026-01-02"}),
            ("color", "red", "red"),
            ("maybe", None, None),
        ],
    )
    def test_gives_the_form_that_can_be_stored(self, pin: str, value: Any, stored: Any) -> None:
        checked = validate_output(PinsBlock, pin, value)

        assert checked == stored
        assert type(checked) is type(stored)

    @pytest.mark.parametrize(
        ("pin", "value"),
        [
            ("no_such_pin", 1),
            ("handle", Handle()),
            ("things", [object()]),
            ("things", [[math.nan]]),
            ("text", 1),
            ("text", None),
            ("number", "three"),
            ("number", 2**5000),
            ("amount", math.nan),
            ("amount", math.inf),
            ("short", "abcd"),
            ("texts", "abc"),
            ("texts", [1]),
            ("cup", {"size": "large"}),
            ("cup", Cup(weight=math.nan)),
            ("anything", Cup(weight=math.nan)),
            ("color", "blue"),
            ("anything", math.nan),
            ("anything", {"a": [-math.inf]}),
            ("anything", object()),
            ("anything", [b"\xff"]),
            ("anything", lambda: 1),
        ],
    )
    def test_refuses_what_does_not_fit_and_names_the_pin(self, pin: str, value: Any) -> None:
        with pytest.raises(OutputInvalid, match=pin):
            validate_output(PinsBlock, pin, value)

    @pytest.mark.parametrize("pin", [None, 1, ["text"]])
    def test_refuses_a_pin_that_is_no_name(self, pin: Any) -> None:
        with pytest.raises(OutputInvalid):
            validate_output(PinsBlock, pin, "tea")

    def test_refuses_what_has_no_end(self) -> None:
        endless: list[Any] = []
        endless.append(endless)

        with pytest.raises(OutputInvalid):
            validate_output(PinsBlock, "anything", endless)

    def test_gives_a_copy_that_the_block_can_not_change_any_more(self) -> None:
        values = [1]
        checked = validate_output(PinsBlock, "anything", values)

        values.append(2)

        assert checked == [1]

    def test_is_quick_for_plain_values(self) -> None:
        """A firing pays this for each value: a few microseconds, here with room for a busy machine."""
        plain = [("anything", "tea"), ("text", "tea"), ("number", 3), ("amount", 1.5), ("flag", True)]
        best = {
            pin: min(timeit(lambda: validate_output(PinsBlock, pin, value), number=1000) for _ in range(5))  # noqa: B023
            for pin, value in plain
        }

        assert all(seconds / 1000 < 20e-6 for seconds in best.values()), best


@pytest.mark.parametrize("length", [0, 1, 100])
def test_leaves_no_character_that_postgres_can_not_hold(length: int) -> None:
    odd = "".join(itertools.islice(itertools.cycle("a\0ä\ud800\U0001f375"), length))

    stored = validate_output(PinsBlock, "text", odd)

    assert "\0" not in stored
    assert stored.encode()[:1] == odd[:1].encode()
