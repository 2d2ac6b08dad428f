"""What a diff says, also of what is too long to be compared line by line."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs import changes

LINES = st.lists(st.sampled_from("abcd").map(lambda letter: f"{letter}\n"), max_size=12)


@pytest.fixture(params=[0, changes.MOST_COMPARED])
def most(request, monkeypatch) -> int:
    monkeypatch.setattr(changes, "MOST_COMPARED", request.param)
    return int(request.param)


def diff(then: list[str], now: list[str]) -> str:
    return "".join(changes.unified(then, now, before="file", after="file"))


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("abc", "abc"),
        ("abc", "axc"),
        ("abc", "c"),
        ("", "ab"),
        ("ab", ""),
        ("abab", "ababab"),
        ("xa", "ay"),
        ("a", "ba"),
    ],
)
def test_git_makes_the_one_of_the_other(most, then, now, tmp_path: Path):
    before, after = ([f"{letter}\n" for letter in text] for text in (then, now))
    file = tmp_path / "file"
    file.write_text("".join(before))

    said = diff(before, after)
    if said:
        subprocess.run(["git", "apply", "-p0", "--unidiff-zero"], cwd=tmp_path, input=said, text=True, check=True)

    assert file.read_text() == "".join(after)
    assert bool(said) == (then != now)


@given(LINES, LINES)
def test_shows_each_line_that_is_gone_or_has_come(then, now):
    said = diff(then, now).splitlines()[2:]

    minus, plus = (sum(1 for line in said if line.startswith(sign)) for sign in "-+")
    assert len(then) - minus == len(now) - plus


def test_of_what_is_too_long_is_one_change():
    blocks = [[f"- node {number}\n", *[f"  - {number % 7}\n"] * 120] for number in range(500)]
    then = ["head\n", *(line for block in blocks for line in block), "tail\n"]
    random.Random(1).shuffle(blocks)
    now = ["head\n", *(line for block in blocks for line in block), "tail\n"]

    said = diff(then, now).splitlines()

    assert said[2].startswith("@@ -2,")
    assert sum(1 for line in said if line.startswith("@@")) == 1
