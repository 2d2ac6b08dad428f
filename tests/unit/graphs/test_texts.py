"""Texts of JSON and YAML: what is read, what is refused, and that nothing is lost on the way."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs import texts
from graphs.errors import DocumentRefused

storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | storable,
    lambda inner: st.lists(inner) | st.dictionaries(storable, inner),
    max_leaves=20,
)


@given(plain, st.sampled_from(["json", "yaml"]))
def test_plain_data_survives_being_written_and_read(data, syntax):
    assert texts.parse(texts.write(data, syntax), syntax) == data


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "2020-01-01",
        "12:30",
        "a\nb",
        " lead",
        "null",
        "1e3",
        "",
        "0x1f",
        "a: b",
        "1_000",
        "=",
        "x\u2028y",
        "\x85",
    ],
)
def test_a_text_that_looks_like_something_else_stays_text_in_yaml(text):
    assert texts.parse(texts.write({"k": text, "l": [text]}, "yaml"), "yaml") == {"k": text, "l": [text]}


def test_yaml_has_the_words_and_numbers_of_its_version_1_2():
    read = texts.parse("[yes, 2020-01-01, 12:30, 010, 1e3, .5, ~, true, <<]", "yaml")

    assert read == ["yes", "2020-01-01", "12:30", 10, 1000.0, 0.5, None, True, "<<"]


@pytest.mark.parametrize(
    ("syntax", "text", "why"),
    [
        ("json", "[" * 100_000, "deep"),
        ("json", "[" * 51 + "]" * 51, "deep"),
        ("yaml", "[" * 100_000, "deep"),
        ("yaml", "- " * 100_000, "deep"),
        ("json", b" " * (5 * 1024 * 1024 + 1), "bytes"),
        ("yaml", b" " * (1024 * 1024 + 1), "bytes"),
        ("json", '{"a": 1, "a": 2}', "twice"),
        ("yaml", "a: 1\na: 2", "twice"),
        ("json", '{"a": "\\u0000"}', "NUL"),
        ("yaml", 'a: "\\0"', "NUL"),
        ("json", '["\\ud800"]', "surrogate"),
        ("json", "NaN", "not a number"),
        ("json", "1e999", "not a number"),
        ("yaml", "1e999", "not a number"),
        ("json", "1" * 5000, "not JSON"),
        ("yaml", "1" * 5000, "not YAML"),
        ("json", '{"a": }', "not JSON"),
        ("yaml", "a: [", "not YAML"),
        ("yaml", "a: &x 1\nb: *x", "aliases"),
        ("yaml", "!!python/object/apply:os.system ['true']", "tag"),
        ("yaml", "!!binary aGVsbG8=", "tag"),
        ("yaml", "1: a", "not text"),
        ("yaml", "? [a]\n: b", "not text"),
        ("yaml", "a: 1\n---\nb: 2", "not YAML"),
        ("json", "{}".encode("utf-16"), "UTF-8"),
    ],
)
def test_a_hostile_text_is_refused_and_told_why(syntax, text, why):
    with pytest.raises(DocumentRefused, match=why):
        texts.parse(text, syntax)


def test_a_string_that_never_ends_is_refused_in_linear_time():
    started = time.monotonic()

    with pytest.raises(DocumentRefused):
        texts.parse('"' + '\\"' * 2_000_000, "json")

    assert time.monotonic() - started < 2


def test_brackets_within_strings_are_no_depth():
    assert texts.parse('["' + "[" * 1000 + '\\"[["]', "json") == ["[" * 1000 + '"[[']
