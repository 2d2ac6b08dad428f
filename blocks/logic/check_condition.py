"""Going one way or the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

from pydantic import Field

from blocks.sdk import BlockError, BlockSchema, BranchingBlock, Example

Operator = Literal[
    "==",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
    "contains",
    "does not contain",
    "starts with",
    "ends with",
    "is empty",
    "is not empty",
]


class CheckConditionInput(BlockSchema):
    value1: Any = Field(description="The value to look at.")
    operator: Operator = Field(default="==", description="What to ask.")
    value2: Any = Field(default=None, description="The value to compare with.")
    yes_value: Any = Field(default=None, description="What to send if it is so; else `value1` is sent.")
    no_value: Any = Field(default=None, description="What to send if it is not so; else `value1` is sent.")


class CheckConditionOutput(BlockSchema):
    yes: Any = Field(description="If it is so.")
    no: Any = Field(description="If it is not so.")
    result: bool = Field(description="Whether it is so.")


class CheckConditionBlock(BranchingBlock):
    """Ask one question and take the way of its answer."""

    id = "condition-block"
    name = "Condition"
    description = "Compares two values and goes on at `yes` or at `no`."
    input_schema, output_schema = CheckConditionInput, CheckConditionOutput
    examples = (
        Example(given={"value1": 5, "operator": ">", "value2": "3"}, gives=[("result", True), ("yes", 5)]),
        Example(
            given={"value1": "tea", "operator": "contains", "value2": "x"}, gives=[("result", False), ("no", "tea")]
        ),
        Example(
            given={"value1": [], "operator": "is empty", "yes_value": "none"}, gives=[("result", True), ("yes", "none")]
        ),
    )

    async def execute(self, input_data: CheckConditionInput) -> AsyncIterator[tuple[str, Any]]:
        result = holds(input_data.value1, input_data.operator, input_data.value2)
        way = "yes" if result else "no"
        has_own_value = f"{way}_value" in input_data.model_fields_set
        yield "result", result
        yield way, getattr(input_data, f"{way}_value") if has_own_value else input_data.value1


def holds(value1: Any, operator: Operator, value2: Any) -> bool:
    """Return whether `value1 operator value2` is so; a number may be written as a text.

    Raises:
        BlockError: the two can not be compared like this (`NOT_COMPARABLE`).
    """
    try:
        return _ANSWERS[operator](*_alike(value1, value2))
    except (TypeError, AttributeError):
        kinds = f"{type(value1).__name__} and {type(value2).__name__}"
        raise BlockError(f"{operator!r} can not be asked of {kinds}.", code="NOT_COMPARABLE") from None


def _alike(value1: Any, value2: Any) -> tuple[Any, Any]:
    if _is_number(value1) and isinstance(value2, str):
        return value1, _as_number(value2)
    if isinstance(value1, str) and _is_number(value2):
        return _as_number(value1), value2
    return value1, value2


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _contains(value1: Any, value2: Any) -> bool:
    # A number looked for in a text was made a number for comparing; here both are texts again.
    return str(value2) in value1 if isinstance(value1, str) else value2 in value1


_ANSWERS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda value1, value2: value1 == value2,
    "!=": lambda value1, value2: value1 != value2,
    ">": lambda value1, value2: value1 > value2,
    ">=": lambda value1, value2: value1 >= value2,
    "<": lambda value1, value2: value1 < value2,
    "<=": lambda value1, value2: value1 <= value2,
    "contains": _contains,
    "does not contain": lambda value1, value2: not _contains(value1, value2),
    "starts with": lambda value1, value2: value1.startswith(value2),
    "ends with": lambda value1, value2: value1.endswith(value2),
    "is empty": lambda value1, _: value1 in (None, "", [], {}),
    "is not empty": lambda value1, _: value1 not in (None, "", [], {}),
}
