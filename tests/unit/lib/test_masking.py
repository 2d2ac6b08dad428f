"""Secrets are found in every form in which they usually travel, also where they were cut, and innocent words are left alone."""

from __future__ import annotations

import base64
import html
import json
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentplatform.lib import masking
from agentplatform.lib.masking import MASKED, Mask

SECRET = "sk-CANARY+/é&\"'\\0123"
secrets = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=masking.SHORTEST, max_size=60
).filter(lambda text: text.strip() == text and "*" not in text)
around = st.text(st.characters(codec="utf-8"), max_size=20)
FORMS = {
    "plain": lambda text: text,
    "backwards": lambda text: text[::-1],
    "URL": lambda text: quote(text, safe=""),
    "path": quote,
    "form": quote_plus,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "HTML": html.escape,
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@given(secret=secrets, before=around, after=around)
@example(secret=SECRET, before="x", after="y")
def test_each_form_is_found_wherever_it_stands(form: str, secret: str, before: str, after: str) -> None:
    written = FORMS[form](secret)

    masked = Mask([secret]).text(f"{before}{written}{after}")

    assert written not in masked or written in before + after
    assert MASKED in masked


@given(secret=secrets, before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_base64_is_found_wherever_the_secret_begins_in_it(secret: str, before: bytes, after: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(before + secret.encode() + after).decode()

        masked = Mask([secret]).text(encoded)

        # What is left are the letters that it shares with its neighbours.
        assert MASKED in masked


@given(secret=secrets, cuts=st.lists(st.integers(0, 60), max_size=8))
def test_pieces_of_a_stream_together_hold_nothing(secret: str, cuts: list[int]) -> None:
    text = f"a {secret} b"
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[start:end] for start, end in pairwise(places)]

    masked = Mask([secret]).stream(pieces)

    assert len(masked) == len(pieces)
    assert secret not in "".join(masked)


class TestWhatWasCut:
    @pytest.mark.parametrize("left", range(12, 24))
    def test_is_masked_if_half_of_it_is_left(self, left: int) -> None:
        secret = "sk-0123456789abcdefghij"

        assert Mask([secret]).text(f"the key {secret[:left]}…") == "the key ***…"

    def test_is_left_alone_where_it_tells_nothing(self) -> None:
        assert Mask(["https://hooks.example.com/T00000000/B00000000/XXXXXXXXXXXXXXXX"]).text(
            "see https://hooks.example.com/"
        ) == ("see https://hooks.example.com/")


class TestValues:
    def test_are_masked_however_deep_also_in_keys_and_numbers(self) -> None:
        mask = Mask(["12345678", "hidden-key"])

        masked = mask.value({"a": [1, {"hidden-key": 12345678}], "b": ("x hidden-key",), "c": None, "d": True})

        assert masked == {"a": [1, {"***": "***"}], "b": ["x ***"], "c": None, "d": True}

    def test_are_the_same_object_where_there_is_nothing_to_look_for(self) -> None:
        value = {"a": [1]}

        assert Mask().value(value) is value

    def test_with_half_a_surrogate_pair_are_masked_too(self) -> None:
        assert Mask(["hidden-key"]).text("\ud800 hidden-key") == "\ud800 ***"

    def test_shorter_than_six_characters_are_words(self) -> None:
        assert Mask(["hello"]).text("hello") == "hello"


class TestLearning:
    def test_does_not_change_what_it_was_copied_from(self) -> None:
        shared = Mask(["first-key"])

        own = shared.copy()
        own.learn(["second-key"])

        assert own.text("first-key second-key") == "*** ***"
        assert shared.text("first-key second-key") == "*** second-key"
