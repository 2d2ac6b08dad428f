"""An answer is compared with its form, and nothing else is asked for that."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from executions.errors import AnswerInvalid
from executions.forms import check_filled_in


class Address(BaseModel):
    city: str


class Order(BaseModel):
    amount: int = Field(ge=1)
    account: Literal["main", "travel"] = "main"
    address: Address | None = None
    items: list[str] = []


FORM = Order.model_json_schema()


@pytest.mark.parametrize(
    "answer", [{"amount": 1}, {"amount": 2, "account": "travel", "address": {"city": "Bern"}, "items": ["a"]}]
)
def test_takes_what_fits(answer):
    check_filled_in(FORM, answer)


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        (None, "answer"),
        ({}, "answer"),
        ("amount", "answer"),
        ({"amount": 0}, "answer.amount"),
        ({"amount": 1.5}, "answer.amount"),
        ({"amount": 1, "account": "savings"}, "answer.account"),
        ({"amount": 1, "items": ["a", 2]}, "answer.items.1"),
    ],
)
def test_says_where_it_does_not_fit(answer, path):
    with pytest.raises(AnswerInvalid) as refused:
        check_filled_in(FORM, answer)

    assert refused.value.path == path


@pytest.mark.parametrize("answer", [None, {}])
def test_without_a_form_there_is_nothing_to_fill_in(answer):
    check_filled_in({}, answer)


def test_without_a_form_an_answer_is_refused():
    with pytest.raises(AnswerInvalid):
        check_filled_in({}, {"amount": 1})


@pytest.mark.parametrize("place", ["http://127.0.0.1:9/schema.json", "file:///etc/passwd"])
def test_what_a_form_refers_to_elsewhere_is_not_fetched(place):
    form: dict[str, Any] = {"type": "object", "properties": {"a": {"$ref": place}}}

    with pytest.raises(AnswerInvalid, match="form"):
        check_filled_in(form, {"a": 1})


def test_a_form_that_never_ends_is_refused():
    with pytest.raises(AnswerInvalid, match="form"):
        check_filled_in({"$ref": "#"}, {"a": 1})


def test_a_long_value_is_not_told_again():
    with pytest.raises(AnswerInvalid) as refused:
        check_filled_in(FORM, {"amount": "x" * 5000})

    assert len(refused.value.message) < 400


PATTERN = {"type": "object", "properties": {"code": {"type": "string", "pattern": r"^(\p{L}+)+-\d+$"}}}


def test_a_pattern_is_read_as_the_model_reads_it():
    check_filled_in(PATTERN, {"code": "ÄB-12"})


@pytest.mark.parametrize("text", ["12", "a" * 40 + "!"])
def test_what_does_not_match_a_pattern_is_refused_soon(text):
    with pytest.raises(AnswerInvalid) as refused:
        check_filled_in(PATTERN, {"code": text})

    assert refused.value.path == "answer.code"


def test_a_pattern_that_is_not_understood_is_left_to_the_model():
    check_filled_in({"properties": {"code": {"pattern": "(?=a)"}}}, {"code": "b"})
