"""Templates, expressions and patterns that want more than they may (S8, S9, S33)."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from agentplatform.lib.errors import AppError
from blocks.data.parse_json import ParseJsonBlock
from blocks.logic.calculate_number import CalculateNumberBlock
from blocks.sdk import Block
from blocks.sdk.testing import run_block
from blocks.text.fill_template import FillTemplateBlock
from blocks.text.match_regex import MatchRegexBlock

#: What a warm process on a busy machine may take for what the rules want done within 50 ms.
MAX_SECONDS = 0.5


def short(value: Any) -> str:
    """Name a case by its beginning: some are longer than a name may be."""
    return "long" if isinstance(value, int) else repr(value)[:40]


async def refusal_of(block: type[Block], given: dict[str, Any]) -> str:
    """Return the code with which a block refuses, or nothing if it does not; it must be quick either way."""
    await run_block(block, block.examples[0].given)  # what is slow to import is not measured
    began = process_time()
    try:
        await run_block(block, given)
    except AppError as error:
        return error.code
    finally:
        assert process_time() - began < MAX_SECONDS
    return ""


class TestTemplates:
    @pytest.mark.parametrize(
        "template",
        [
            "{{ ''.__class__.__mro__ }}",
            "{{ x.__class__ }}",
            "{{ x['__class__'] }}",
            "{{ x|attr('format') }}",
            "{{ x.format('a') }}",
            "{{ x.upper }}",
            "{{ dict.keys }}",
            "{{ dict.items() }}",
            "{{ range(10**9) }}",
            "{{ 9**9**9 }}",
            "{{ 'a' * 10**9 }}",
            "{{ 'a' ~ 'b' }}",
            "{{ [1] * 9 }}",
            "{{ self }}",
            "{{ self._TemplateReference__context }}",
            "{{ cycler.__init__.__globals__ }}",
            "{{ lipsum() }}",
            "{{ namespace() }}",
            "{{ config }}",
            "{{ loop.index }}",
            "{{ x[0:1] }}",
            "{{ list[x] }}",
            "{{ x|map(attribute='y') }}",
            "{{ x|format }}",
            "{{ x|join(9) }}",
            "{{ x|upper(1) }}",
            "{{ x|default(**dict) }}",
            "{{ x is callable }}",
            "{% include 'x' %}",
            "{% import 'x' as y %}",
            "{% extends 'x' %}",
            "{% set y = x %}",
            "{% macro m() %}{% endmacro %}",
            "{% filter upper %}x{% endfilter %}",
            "{% for a in x recursive %}{{ loop(a) }}{% endfor %}",
            "{% for a in 'abc' %}{% endfor %}",
            "{% for a in list if a %}{% endfor %}",
            "{% for a, b in list %}{% endfor %}",
            "{% autoescape false %}{% endautoescape %}",
            "{% call x() %}{% endcall %}",
            "{{ missing }}",
            "{{ dict.missing }}",
            "{{ list[9] }}",
            "{{ 1 < 'a' }}",
            "{{",
            "{% if x %}",
            "{{ " + "(" * 5_000 + "x" + ")" * 5_000 + " }}",
            "{{ " + "not " * 20_000 + "x }}",
            "{% if x %}" * 2_000 + "{% endif %}" * 2_000,
            "{% for a in list %}" * 12 + "x" + "{% endfor %}" * 12,
            "{% for a in many %}{% for b in many %}{% endfor %}{% endfor %}",
            "{% for a in list %}{{ long }}{% endfor %}",
            "{{ many|join(long) }}",
            "{% for a in many %}{% if long in lists %}{% endif %}{% endfor %}",
        ],
        ids=short,
    )
    async def test_refuse_what_is_not_in_the_language(self, template: str) -> None:
        values = {
            "x": "text",
            "list": [1, 2, 3] * 3,
            "dict": {"a": 1},
            "many": list(range(10_000)),
            "long": "x" * 200_000,
        }

        assert await refusal_of(FillTemplateBlock, {"template": template, "values": values}) == "TEMPLATE_ERROR"

    @pytest.mark.parametrize("text", ["{0.__class__}", "{x}", "%(x)s", "$x", "{ {x} }", '{"a": {"b": 1}}', "{"])
    async def test_leave_other_languages_as_text(self, text: str) -> None:
        assert await run_block(FillTemplateBlock, {"template": text, "values": {"x": 1}}) == [("output", text)]

    async def test_do_not_read_what_they_are_filled_with(self) -> None:
        values = {"a": "{{ b }}", "b": "secret"}

        assert await run_block(FillTemplateBlock, {"template": "{{ a }}", "values": values}) == [("output", "{{ b }}")]


class TestExpressions:
    @pytest.mark.parametrize(
        "expression",
        [
            "().__class__",
            "a.__class__",
            "__import__('os')",
            "9**9**9",
            "9**9999999",
            "2**5000",
            "2.0**5000",
            "(-8)**0.5",
            "0**-1",
            "1/0",
            "1e999",
            "1e308*10",
            "'a'*10**9",
            "'a'",
            "None",
            "1j",
            "[1]*9",
            "[i for i in a]",
            "(lambda: 1)()",
            "a if a else a",
            "a and a",
            "a := 1",
            "a[0]",
            "f'{a}'",
            "open('x')",
            "max()",
            "min(a)",
            "round(1, 10**9)",
            "round(5, -1000000000)",
            "round(a, 1.5)",
            "abs(a, key=a)",
            "max(*a)",
            "1 << 9999",
            "~a",
            "a in a",
            "b",
            "",
            "\0",
            "1\n2",
            "(" * 400 + "1" + ")" * 400,
            "(" * 10_000 + ")" * 10_000,
            "1+" * 499 + "x",
            "9" * 999 + "*" + "9",
        ],
        ids=short,
    )
    async def test_refuse_what_is_not_arithmetic(self, expression: str) -> None:
        refusal = await refusal_of(CalculateNumberBlock, {"expression": expression, "values": {"a": 1}})

        assert refusal in ("EXPRESSION_ERROR", "INPUT_INVALID")

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**5000], ids=short)
    async def test_refuse_values_that_are_no_numbers_of_json(self, value: float) -> None:
        refusal = await refusal_of(CalculateNumberBlock, {"expression": "a", "values": {"a": value}})

        assert refusal in ("EXPRESSION_ERROR", "INPUT_INVALID")


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "text"),
        [
            ("(a+)+$", "a" * 50_000 + "!"),
            ("(a|aa)+$", "a" * 50_000 + "!"),
            ("(.*)*x", "a" * 50_000),
            ("(a*)*b", "a" * 50_000),
            ("(x+x+)+y", "x" * 50_000),
            ("x*y|.", "x" * 9_000),
        ],
        ids=short,
    )
    async def test_take_time_that_grows_with_the_text(self, pattern: str, text: str) -> None:
        assert await refusal_of(MatchRegexBlock, {"pattern": pattern, "text": text}) in ("", "REGEX_ERROR")

    @pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "(", "((a{900}){900}){900}", "a{1,100000}", "[", "a**"])
    async def test_refuse_what_the_engine_can_not_do_in_such_time(self, pattern: str) -> None:
        assert await refusal_of(MatchRegexBlock, {"pattern": pattern, "text": "a" * 1_000}) == "REGEX_ERROR"

    async def test_refuse_more_matches_than_anyone_wants(self) -> None:
        assert await refusal_of(MatchRegexBlock, {"pattern": "a", "text": "a" * 20_000}) == "REGEX_ERROR"


class TestJson:
    @pytest.mark.parametrize(
        "text",
        [
            "[" * 100_000,
            '{"a":' * 50_000,
            "NaN",
            "Infinity",
            "1" * 10_000,
            "{",
            "",
            "```\n",
            "```json\n{\n```",
            "\n" * 100_000,
        ],
        ids=short,
    )
    async def test_is_refused_if_it_is_none(self, text: str) -> None:
        assert await refusal_of(ParseJsonBlock, {"text": text}) == "JSON_INVALID"

    @pytest.mark.parametrize("text", ["1e999", "[" * 500 + "]" * 500], ids=short)
    async def test_is_refused_if_it_can_not_be_stored(self, text: str) -> None:
        assert await refusal_of(ParseJsonBlock, {"text": text}) == "OUTPUT_INVALID"

    async def test_gives_no_character_that_can_not_be_stored(self) -> None:
        assert await run_block(ParseJsonBlock, {"text": '["a\\u0000", "\\ud800"]'}) == [
            ("output", ["a\ufffd", "\ufffd"])
        ]
