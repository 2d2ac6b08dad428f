"""A secret that comes in pieces does not come through, and nothing else is lost."""

from __future__ import annotations

from base64 import b64encode
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agentplatform.lib.masking import MASKED, Mask, MaskedStream, forms_of

SECRETS = ["sk-abcabd-123", "abcabcabd", "pass word&1"]
TEXTS = st.lists(
    st.sampled_from([*SECRETS, "abc", "sk-", "a", " and ", "pass", b64encode(b"sk-abcabd-123").decode()]), max_size=8
)


def in_pieces(stream: MaskedStream, text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    shown = [stream.add(text[start:end]) for start, end in pairwise(places)]
    return [*shown, stream.rest()]


@given(TEXTS.map("".join), st.lists(st.integers(min_value=0), max_size=10))
def test_no_secret_comes_through_in_any_form(text: str, cuts: list[int]) -> None:
    shown = "".join(in_pieces(MaskedStream(Mask(SECRETS)), text, cuts))

    forms = {form for secret in SECRETS for form in forms_of(secret)}
    assert [form for form in forms if form in shown] == []


@given(st.text(alphabet="xyz -", max_size=60), st.lists(st.integers(min_value=0), max_size=10))
def test_what_is_no_secret_comes_through_whole(text: str, cuts: list[int]) -> None:
    assert "".join(in_pieces(MaskedStream(Mask(SECRETS)), text, cuts)) == text


def test_only_what_may_be_a_beginning_is_held_back() -> None:
    stream = MaskedStream(Mask(["sk-abcabd-123"]))

    assert [stream.add(piece) for piece in ["Say sk", "y, or sk-abc", "abd-12", "3."]] == [
        "Say ",
        "sky, or ",
        "",
        f"{MASKED}.",
    ]


def test_without_secrets_nothing_is_held_back() -> None:
    assert MaskedStream(Mask()).add("sk-") == "sk-"
