"""How people read durations, counts and values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from executions.engine.status import NodeStatus
from executions.engine.waits import WaitKind
from executions.presenting import (
    elapsed,
    first_line,
    overall,
    pretty,
    show_counts,
    show_duration,
    show_path,
    show_tokens,
    show_wait,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "<1 ms"),
        (0.042, "42 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_a_duration_is_as_exact_as_people_need(seconds, shown):
    assert show_duration(timedelta(seconds=seconds)) == show_duration(seconds) == shown


def test_no_duration_is_shown_as_nothing():
    assert show_duration(None) == ""


@pytest.mark.parametrize(
    ("started_s", "ended_s", "seconds"), [(None, None, None), (0, 5, 5), (0, None, 60), (61, None, 0)]
)
def test_what_goes_on_has_taken_until_now(started_s, ended_s, seconds):
    started, ended = (None if s is None else NOON + timedelta(seconds=s) for s in (started_s, ended_s))

    took = elapsed(started, ended, at=NOON + timedelta(seconds=60))

    assert took == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("usage", "shown"),
    [({}, ""), ({"input_tokens": 1200, "output_tokens": 5}, "1,200 + 5"), ({"input_tokens": "many"}, "")],
)
def test_tokens_are_shown_where_there_are_any(usage, shown):
    assert show_tokens(usage) == shown


@pytest.mark.parametrize(
    ("counts", "shown", "stands_for_all"),
    [
        ({}, "", NodeStatus.PENDING),
        ({NodeStatus.SUCCEEDED: 1}, "done", NodeStatus.SUCCEEDED),
        ({NodeStatus.SUCCEEDED: 1200, NodeStatus.RUNNING: 3}, "3 running, 1,200 done", NodeStatus.RUNNING),
        ({NodeStatus.SUCCEEDED: 9, NodeStatus.FAILED: 1}, "9 done, 1 failed", NodeStatus.FAILED),
        ({NodeStatus.SKIPPED: 2, NodeStatus.SUCCEEDED: 1}, "1 done, 2 skipped", NodeStatus.SUCCEEDED),
        ({NodeStatus.SKIPPED: 1}, "skipped", NodeStatus.SKIPPED),
    ],
)
def test_the_firings_of_a_node_are_told_in_one_line(counts, shown, stands_for_all):
    assert (show_counts(counts), overall(counts)) == (shown, stands_for_all)


def test_a_text_is_shown_as_it_is_and_the_rest_as_json():
    assert pretty("a\nb") == "a\nb"
    assert pretty({"ä": 1}) == '{\n  "ä": 1\n}'


@pytest.mark.parametrize(
    ("values", "line"), [([], ""), (["a\n\n  b"], "a b"), ([{"k": 1}], '{"k": 1}'), (["x" * 50], "x" * 9 + "…")]
)
def test_a_value_is_told_in_its_first_line(values, line):
    assert first_line(values, length=10) == line


@pytest.mark.parametrize(("path", "shown"), [([], ""), ([0], "#1"), ([1, 2], "#2.3"), ([4, -1], "#5"), ([-2], "")])
def test_an_item_path_is_counted_as_people_count(path, shown):
    assert show_path(path) == shown


@pytest.mark.parametrize(
    ("kind", "about", "shown"),
    [
        (WaitKind.APPROVAL, {"title": "Send it?"}, "waits for an approval: Send it?"),
        (WaitKind.DECISION, {"title": "Did it happen?"}, "waits for a decision: Did it happen?"),
        (WaitKind.TIMER, {"due_at": NOON}, "waits for a moment, until 2026-06-01 12:00:00 UTC"),
        (WaitKind.EVENT, {"event": "invoice.paid"}, "waits for the event invoice.paid"),
        (WaitKind.CHILD, {}, "waits for a sub-graph"),
    ],
)
def test_a_wait_says_for_what_and_until_when(kind, about, shown):
    assert show_wait(kind, **about) == shown
