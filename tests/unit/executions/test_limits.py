"""What one firing may yield: so many values on a pin, so many bytes in one and in all."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.sdk import BlockError
from executions.limits import Yielded


@pytest.fixture(autouse=True)
def _limits(settings: Any) -> None:
    settings.AGENTPLATFORM_MAX_OUTPUT_BYTES = 1000
    settings.AGENTPLATFORM_MAX_FIRING_BYTES = 3000
    settings.AGENTPLATFORM_MAX_ITEMS = 5


def refusal_of(*values: Any, pin: str = "output") -> str:
    """Return the code with which the last of these values is refused, if it is."""
    yielded = Yielded({})
    for value in values[:-1]:
        yielded.add(pin, value)
    try:
        yielded.add(pin, values[-1])
    except BlockError as error:
        return error.code
    return ""


@pytest.mark.parametrize("value", ["x" * 1000, ["x" * 996], {"a": "x" * 992}, "", [], None, 1, True])
def test_keeps_what_is_within_the_limits(value):
    yielded = Yielded({})

    yielded.add("output", value)

    assert yielded.outputs == {"output": [value]}


@pytest.mark.parametrize("value", ["x" * 1001, ["x" * 997], {"a": "x" * 993}, "ü" * 501, ["ü" * 499]])
def test_refuses_a_value_that_is_too_large(value):
    assert refusal_of(value) == "OUTPUT_TOO_LARGE"


def test_refuses_one_value_too_many_on_a_pin():
    assert refusal_of(*range(5)) == ""
    assert refusal_of(*range(6)) == "TOO_MANY_ITEMS"


def test_counts_the_values_of_each_pin_by_themselves():
    yielded = Yielded({})

    for number in range(5):
        yielded.add("a", number)
        yielded.add("b", number)

    assert {pin: len(values) for pin, values in yielded.outputs.items()} == {"a": 5, "b": 5}


def test_refuses_what_is_too_large_together():
    assert refusal_of(*["x" * 1000] * 3) == ""
    assert refusal_of(*["x" * 1000] * 3, "x") == "OUTPUT_TOO_LARGE"
