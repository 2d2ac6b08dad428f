"""A cron expression means what it means in Unix: compared with an independent reading of it, and on examples."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st

from executions.engine.calendar import ScheduleKind, Timing, fires
from executions.engine.cron import CronInvalid, parse

BEGIN = datetime(2026, 2, 20, 11, 17, 30, tzinfo=UTC)


def terms(first: int, last: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    """Return the terms of a field that every reader of cron knows: those without a wrap."""
    numbers = st.integers(first, last)
    # The other one takes `0-0/2` for `0/2`.
    spans = st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
    steps = st.builds("{}/{}".format, st.one_of(st.just("*"), spans), st.integers(1, last + 2))
    kinds = [numbers.map(str), spans, steps, *([st.sampled_from(names)] if names else [])]
    return st.lists(st.one_of(kinds), min_size=1, max_size=3).map(",".join) | st.just("*")


EXPRESSIONS = st.builds(
    "{} {} {} {} {}".format,
    terms(0, 59),
    terms(0, 23),
    terms(1, 31),
    terms(1, 12, ("jan", "Feb", "DEC")),
    terms(0, 7, ("sun", "Mon", "SAT")),
)


@settings(deadline=None)
@given(expression=EXPRESSIONS)
def test_means_what_another_reader_of_cron_says(expression: str):
    try:
        theirs = list(islice(CronSim(expression, BEGIN), 5))
    except CronSimError:
        # It refuses what never comes.
        theirs = []

    ours = list(islice(fires(Timing(ScheduleKind.CRON, ZoneInfo("UTC"), cron=parse(expression)), BEGIN), 5))

    assert ours == theirs


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("0", {0}),
        ("7", {0}),
        ("sun", {0}),
        ("1-5", {1, 2, 3, 4, 5}),
        ("mon-fri", {1, 2, 3, 4, 5}),
        ("5-7", {5, 6, 0}),
        ("0-7", {0, 1, 2, 3, 4, 5, 6}),
        ("fri-mon", {5, 6, 0, 1}),
        ("6-0", {6, 0}),
        ("7-2", {0, 1, 2}),
        ("mon-sun", {0, 1, 2, 3, 4, 5, 6}),
        ("*/2", {0, 2, 4, 6}),
        ("1-7/2", {1, 3, 5, 0}),
        ("5-1/2", {5, 0}),
        ("SUN,3", {0, 3}),
    ],
)
def test_the_day_of_the_week_is_that_of_unix(field, days):
    assert parse(f"0 0 * * {field}").weekdays == days


@pytest.mark.parametrize(
    ("text", "hours"), [("0 22-2 * * *", (0, 1, 2, 22, 23)), ("0 22-4/3 * * *", (1, 4, 22)), ("@daily", (0,))]
)
def test_hours_may_wrap(text, hours):
    assert parse(text).hours == hours


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "5 fields"),
        ("* * * *", "5 fields"),
        ("0 * * * * *", "5 fields"),
        ("@reboot", "5 fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of the month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day of the week"),
        ("* * * * mond", "day of the week"),
        ("-1 * * * *", "minute"),
        ("1- * * * *", "minute"),
        ("1,,2 * * * *", "minute"),
        ("*/0 * * * *", "step"),
        ("*/x * * * *", "step"),
        ("5/15 * * * *", "5-59/15"),
        ("٣ * * * *", "minute"),
    ],
)
def test_what_is_none_is_refused_with_the_part(text, told):
    with pytest.raises(CronInvalid, match=told):
        parse(text)


def test_days_of_both_kinds_may_fit_either_unless_one_begins_with_a_star():
    assert parse("0 0 13 * 5").either_day
    assert not parse("0 0 */2 * 5").either_day
    assert not parse("0 0 13 * *").either_day
