"""What the blocks that only compute do beyond their examples."""

from __future__ import annotations

from typing import Any

import pytest

from agentplatform.lib.errors import AppError
from blocks.basic.read_input import ReadInputBlock
from blocks.data.get_item import GetItemBlock
from blocks.data.get_key import GetKeyBlock
from blocks.llm.summarize_text import whole_sentences
from blocks.logic.check_condition import holds
from blocks.sdk.testing import run_block
from blocks.text.fill_template import FillTemplateBlock


class TestInput:
    @pytest.mark.parametrize(
        ("kind", "value"),
        [("text", 1), ("number", "1"), ("number", True), ("boolean", 1), ("list", {}), ("object", [])],
    )
    async def test_refuses_a_value_of_another_type(self, kind: str, value: Any) -> None:
        with pytest.raises(AppError, match="must be of type") as refused:
            await run_block(ReadInputBlock, {"name": "topic", "type": kind, "value": value})

        assert (refused.value.code, refused.value.path) == ("INPUT_INVALID", "topic")

    async def test_takes_the_default_as_it_is(self) -> None:
        assert await run_block(ReadInputBlock, {"name": "topic", "type": "text"}) == [("output", None)]


class TestCondition:
    @pytest.mark.parametrize(
        ("value1", "operator", "value2", "is_so"),
        [
            (1, "==", "1", True),
            ("1.0", "==", 1, True),
            ("a", "==", 1, False),
            (True, "==", "1", False),
            ("b", ">", "a", True),
            (2, "<=", 2.0, True),
            ([1, 2], "contains", 2, True),
            ("a1", "contains", 1, True),
            ({"a": 1}, "contains", "a", True),
            ("tea", "does not contain", "x", True),
            ("tea", "starts with", "te", True),
            ("tea", "ends with", "te", False),
            (0, "is empty", None, False),
            ({}, "is empty", None, True),
            ("", "is not empty", None, False),
        ],
    )
    def test_answers(self, value1: Any, operator: Any, value2: Any, is_so: bool) -> None:
        assert holds(value1, operator, value2) == is_so

    @pytest.mark.parametrize(
        ("value1", "operator", "value2"), [(1, ">", "a"), (None, "<", 1), (5, "starts with", "5"), (5, "contains", 5)]
    )
    def test_says_what_can_not_be_compared(self, value1: Any, operator: Any, value2: Any) -> None:
        with pytest.raises(AppError) as refused:
            holds(value1, operator, value2)

        assert refused.value.code == "NOT_COMPARABLE"


class TestTemplate:
    @pytest.mark.parametrize(
        ("template", "text"),
        [
            ("{{ a.b[0].c }}", "deep"),
            ("{{ a }}", '{"b": [{"c": "deep"}]}'),
            ("{{ none }}|{{ yes }}", "|true"),
            ("{{ missing|default('x') }}", "x"),
            ("{{ list|join(', ') }}", "1, 2"),
            ("{{ list|length }}{{ list|first }}{{ list|last }}", "212"),
            ("{{ name|trim|lower }}", "ann"),
            ("{{ name|truncate(3) }}", " A…"),
            ("{% if missing is defined %}a{% elif list %}b{% else %}c{% endif %}", "b"),
            ("{% if 1 in list and not none %}a{% endif %}", "a"),
            ("{% for x in list %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}", "1, 2"),
            (
                "{% for x in list %}{% for y in list %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}",
                "121;122;",
            ),
            ("{% for list in list %}{{ list }}{% endfor %}{{ list }}", "12[1, 2]"),
            ("{% for key in a %}{{ key }}{% endfor %}", "b"),
            ("{% for x in none or list %}{{ x }}{% else %}-{% endfor %}", "12"),
            ("{# a remark #}a\n", "a\n"),
            ("{% raw %}{{ a }}{% endraw %}", "{{ a }}"),
        ],
    )
    async def test_knows(self, template: str, text: str) -> None:
        values = {"a": {"b": [{"c": "deep"}]}, "list": [1, 2], "none": None, "yes": True, "name": " Ann "}

        assert await run_block(FillTemplateBlock, {"template": template, "values": values}) == [("output", text)]

    async def test_names_the_line_and_the_value_that_is_missing(self) -> None:
        with pytest.raises(AppError, match="Line 2: there is no value named 'b'"):
            await run_block(FillTemplateBlock, {"template": "a\n{{ b }}"})


@pytest.mark.parametrize(
    ("block", "given"), [(GetItemBlock, {"items": [1], "index": 1}), (GetKeyBlock, {"input": {"a": 1}, "key": "b"})]
)
async def test_says_that_there_is_no_such_place(block: Any, given: dict[str, Any]) -> None:
    with pytest.raises(AppError) as refused:
        await run_block(block, given)

    assert refused.value.code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("text", "whole"),
    [("One. Two. Thr", "One. Two."), ("One! Two", "One!"), ("No end", "No end"), (" v1.2 is", "v1.2 is")],
)
def test_leaves_out_the_sentence_that_was_cut(text: str, whole: str) -> None:
    assert whole_sentences(text) == whole
