"""Calculating, without running anybody's code."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from pydantic import Field

from blocks.sdk import Block, BlockError, BlockSchema, Example, Placement

MAX_LENGTH = 1_000
MAX_BITS = 4_096
MAX_DIGITS = 20

Number = int | float


class CalculateNumberInput(BlockSchema):
    expression: str = Field(min_length=1, max_length=MAX_LENGTH, description="For example `(a + b) * 2`.")
    values: dict[str, float | int] = Field(default_factory=dict, description="The numbers that the names stand for.")


class CalculateNumberOutput(BlockSchema):
    output: float | int | bool = Field(description="The result.")


class CalculateNumberBlock(Block):
    """Work out an expression."""

    id = "calculator-block"
    name = "Calculator"
    description = "Works out + - * / // % **, comparisons, and min, max, abs, round, sqrt, floor, ceil."
    placement = Placement.INLINE
    input_schema, output_schema = CalculateNumberInput, CalculateNumberOutput
    examples = (
        Example(given={"expression": "(a + b) * 2", "values": {"a": 1, "b": 2}}, gives=[("output", 6)]),
        Example(given={"expression": "round(sqrt(2), 3)"}, gives=[("output", 1.414)]),
        Example(given={"expression": "1 < a <= 3", "values": {"a": 3}}, gives=[("output", True)]),
    )

    async def execute(self, input_data: CalculateNumberInput) -> AsyncIterator[tuple[str, Any]]:
        yield "output", calculate(input_data.expression, input_data.values)


def calculate(expression: str, values: Mapping[str, Number]) -> Number:
    """Return what `expression` comes to.

    Raises:
        BlockError: it is not arithmetic, or its numbers grow too large (`EXPRESSION_ERROR`).
    """
    if len(expression) > MAX_LENGTH:
        raise _refused(f"It is longer than {MAX_LENGTH} characters.")
    try:
        return _limited(_value(ast.parse(expression.strip(), mode="eval").body, values))
    except ArithmeticError as error:
        raise _refused(f"{str(error).capitalize()}.") from None
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise _refused("It is not a correct expression.") from None


def _value(node: ast.expr, values: Mapping[str, Number]) -> Number:
    match node:
        case ast.Constant(value=bool() | int() | float() as number):
            return number
        case ast.Name(id=name):
            if name not in values:
                raise _refused(f"{name!r} has no value.")
            return values[name]
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _SIGNS:
            return _limited(_SIGNS[type(sign)](_value(operand, values)))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATIONS:
            return _limited(_OPERATIONS[type(sign)](_value(left, values), _value(right, values)))
        case ast.Compare(left=left, ops=signs, comparators=others) if all(type(sign) in _COMPARISONS for sign in signs):
            numbers = [_value(one, values) for one in (left, *others)]
            pairs = zip(numbers, signs, numbers[1:], strict=False)
            return all(_COMPARISONS[type(sign)](one, other) for one, sign, other in pairs)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _limited(_FUNCTIONS[name](*[_value(argument, values) for argument in arguments]))
    raise _refused("Only numbers, names, arithmetic, comparisons and a few functions are known.")


def _power(base: Number, exponent: Number) -> Number:
    # Looked at before it is worked out: 9**9**9 would take all memory.
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MAX_BITS:
        raise _refused("The power is too large.")
    result = base**exponent
    if isinstance(result, complex):
        raise _refused("The root of a negative number is not a number here.")
    return result


def _round(number: Number, digits: Number = 0) -> Number:
    # Python makes ten to the power of the digits first.
    if not isinstance(digits, int) or abs(digits) > MAX_DIGITS:
        raise _refused(f"It can be rounded to at most {MAX_DIGITS} digits.")
    return round(number, digits) if digits else round(number)


def _limited(number: Number) -> Number:
    if isinstance(number, int):
        is_fine = number.bit_length() <= MAX_BITS
    else:
        is_fine = isinstance(number, float) and math.isfinite(number)
    if not is_fine:
        raise _refused("The result is too large.")
    return number


def _refused(why: str) -> BlockError:
    return BlockError(f"The expression can not be worked out. {why}", code="EXPRESSION_ERROR", path="expression")


_SIGNS: dict[type[ast.AST], Callable[[Any], Number]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}
_OPERATIONS: dict[type[ast.AST], Callable[[Any, Any], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: dict[str, Callable[..., Number]] = {
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "max": max,
    "min": min,
    "round": _round,
    "sqrt": math.sqrt,
}
