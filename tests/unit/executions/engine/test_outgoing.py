"""After how long one that was not heard is told again, and what can be subscribed to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions.engine.outgoing import LONGEST_S, MOST_ASKED_S, OutgoingEvent, is_known, next_pause

CHANCES = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("tries", "pause_s"), [(1, 5), (2, 20), (3, 80), (4, 320), (7, 20_480), (8, 28_800), (9, 28_800)]
)
def test_pauses_grow_up_to_eight_hours(tries, pause_s):
    assert next_pause(tries, chance=0.5) == pause_s


def test_three_days_have_about_fifteen_attempts():
    elapsed, tries = 0.0, 1
    while elapsed < 3 * 86_400:
        elapsed += next_pause(tries, chance=0.5)
        tries += 1

    assert 14 <= tries <= 18


@given(st.integers(1, 10_000), CHANCES, st.one_of(st.none(), st.floats(allow_nan=True)))
def test_a_pause_is_never_shorter_than_asked_nor_without_an_end(tries, chance, asked):
    pause = next_pause(tries, chance=chance, retry_after_s=asked)

    assert 0 < pause <= MOST_ASKED_S * 1.2
    if asked is not None and 0 < asked < float("inf"):
        assert pause >= min(asked, MOST_ASKED_S)
    else:
        assert pause <= LONGEST_S * 1.2


@pytest.mark.parametrize("name", [*OutgoingEvent, "execution", "approval", "decision"])
def test_events_and_their_kinds_can_be_subscribed_to(name):
    assert is_known(name)


@pytest.mark.parametrize("name", ["", "ping", "Execution", "execution.", "execution.running", "node.failed"])
def test_nothing_else_can(name):
    assert not is_known(name)
