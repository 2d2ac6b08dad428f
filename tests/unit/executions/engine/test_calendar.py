"""When something is due: compared with every minute of the days on which clocks change, and on examples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executions.engine import calendar
from executions.engine.calendar import ScheduleKind, Timing, fires, moment_of, next_fire
from executions.engine.cron import Cron, parse
from tests.unit.executions.engine.test_cron import EXPRESSIONS, terms

MINUTE = timedelta(minutes=1)
# The days around each kind of change. Lord Howe's is of half an hour, and Havana's at midnight.
CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 7, 12, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, 12, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 0, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 0, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 3, 7, 12, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 10, 31, 12, tzinfo=UTC)),
    ("America/St_Johns", datetime(2010, 11, 6, 12, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 29, 12, tzinfo=UTC)),
]
SPAN = timedelta(hours=36)
#: Most of what is asked for falls into the hours in which clocks change.
NIGHTLY = st.builds(
    "{} {} * * {}".format, terms(0, 59), st.sampled_from(["*", "2", "1-3", "0,2", "*/2", "23-1"]), terms(0, 7)
)


@cache
def minutes_of(name: str, begin: datetime) -> list[tuple[datetime, datetime]]:
    """Return every minute of the span with a day around it, and what a clock on the wall shows then."""
    zone = ZoneInfo(name)
    count = int((SPAN + timedelta(days=2)) / MINUTE)
    moments = [begin - timedelta(days=1) + number * MINUTE for number in range(count)]
    return [(moment, moment.astimezone(zone).replace(tzinfo=None, fold=0)) for moment in moments]


def means(cron: Cron, wall: datetime) -> bool:
    return cron.is_on(wall.date()) and wall.hour in cron.hours and wall.minute in cron.minutes


def by_brute_force(cron: Cron, name: str, begin: datetime) -> list[datetime]:
    """Return the moments of the span by looking at each minute, as the rule says it."""
    shown = minutes_of(name, begin)
    if len(cron.hours) == 24:
        found = {moment for moment, wall in shown if means(cron, wall)}
    else:
        first: dict[datetime, datetime] = {}
        for moment, wall in shown:
            first.setdefault(wall, moment)
        found = {moment for wall, moment in first.items() if means(cron, wall)}
        # What the wall jumps over: the earlier minute shows less, the later one more.
        for (_, wall), (moment, later) in pairwise(shown):
            skipped = (wall + number * MINUTE for number in range(1, int((later - wall) / MINUTE)))
            if any(means(cron, between) for between in skipped):
                found.add(moment)
    return sorted(moment for moment in found if begin < moment <= begin + SPAN)


def by_cron(cron: Cron, name: str, begin: datetime) -> list[datetime]:
    timing = Timing(ScheduleKind.CRON, ZoneInfo(name), cron=cron)
    return list(takewhile(lambda moment: moment <= begin + SPAN, fires(timing, begin)))


@settings(deadline=None, max_examples=60)
@given(expression=NIGHTLY | EXPRESSIONS, change=st.sampled_from(CHANGES))
def test_is_due_when_the_rule_says_so(expression, change):
    cron = parse(expression)

    assert by_cron(cron, *change) == by_brute_force(cron, *change)


@settings(deadline=None, max_examples=60)
@given(expression=NIGHTLY, change=st.sampled_from(CHANGES), seconds=st.integers(0, int(SPAN.total_seconds())))
def test_whoever_asks_in_between_gets_the_next_of_the_same(expression, change, seconds):
    cron, (name, begin) = parse(expression), change
    after = begin + timedelta(seconds=seconds)
    timing = Timing(ScheduleKind.CRON, ZoneInfo(name), cron=cron)

    later = [moment for moment in by_brute_force(cron, name, begin) if moment > after]

    assert not later or next_fire(timing, after) == later[0]


def due(text: str, name: str, after: str, count: int) -> list[str]:
    timing = Timing(ScheduleKind.CRON, ZoneInfo(name), cron=parse(text))
    found = islice(fires(timing, datetime.fromisoformat(after)), count)
    return [moment.astimezone(ZoneInfo(name)).isoformat(timespec="minutes") for moment in found]


class TestClocksGoForward:
    def test_what_is_skipped_is_due_at_the_first_moment_after_the_gap(self):
        assert due("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00+01:00", 2) == [
            "2026-03-29T03:00+02:00",
            "2026-03-30T02:30+02:00",
        ]
        assert due("30 2 * * *", "America/New_York", "2026-03-07T12:00-05:00", 1) == ["2026-03-08T03:00-04:00"]

    def test_several_that_are_skipped_are_due_once(self):
        assert due("*/20 2-3 * * *", "Europe/Berlin", "2026-03-28T12:00+01:00", 2) == [
            "2026-03-29T03:00+02:00",
            "2026-03-29T03:20+02:00",
        ]

    def test_what_is_hourly_goes_on_after_an_hour(self):
        assert due("30 * * * *", "Europe/Berlin", "2026-03-29T00:45+01:00", 2) == [
            "2026-03-29T01:30+01:00",
            "2026-03-29T03:30+02:00",
        ]


class TestClocksGoBack:
    def test_what_comes_twice_is_due_the_first_time(self):
        assert due("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00+02:00", 2) == [
            "2026-10-25T02:30+02:00",
            "2026-10-26T02:30+01:00",
        ]
        assert due("30 1 * * *", "America/New_York", "2026-10-31T12:00-04:00", 1) == ["2026-11-01T01:30-04:00"]

    def test_asked_in_the_second_hour_it_was_due_already(self):
        assert due("30 2 * * *", "Europe/Berlin", "2026-10-25T02:10+01:00", 1) == ["2026-10-26T02:30+01:00"]

    def test_what_is_hourly_goes_on_after_an_hour(self):
        assert due("30 * * * *", "Europe/Berlin", "2026-10-25T02:00+02:00", 3) == [
            "2026-10-25T02:30+02:00",
            "2026-10-25T02:30+01:00",
            "2026-10-25T03:30+01:00",
        ]


def test_an_interval_counts_from_its_beginning_whatever_the_clocks_show():
    at = datetime(2026, 3, 28, 12, tzinfo=UTC)
    timing = Timing(ScheduleKind.INTERVAL, ZoneInfo("Europe/Berlin"), every=timedelta(hours=7), at=at)

    assert next_fire(timing, at - MINUTE) == at
    assert list(islice(fires(timing, at + timedelta(hours=14)), 2)) == [
        at + timedelta(hours=21),
        at + timedelta(hours=28),
    ]


def test_once_is_due_once():
    at = datetime(2026, 3, 28, 12, tzinfo=UTC)

    assert list(fires(Timing(ScheduleKind.ONCE, ZoneInfo("UTC"), at=at), at - MINUTE)) == [at]


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 4,6 *"])
def test_what_never_comes_is_said_to_be_never(text):
    assert due(text, "Europe/Berlin", "2026-01-01T00:00+01:00", 1) == []


def test_a_leap_day_is_found():
    assert due("0 0 29 2 */7", "UTC", "2026-01-01T00:00+00:00", 1) == ["2032-02-29T00:00+00:00"]


def test_a_time_on_the_wall_is_a_moment():
    berlin = ZoneInfo("Europe/Berlin")

    assert moment_of(datetime.fromisoformat("2026-03-29T02:30"), berlin) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert moment_of(datetime.fromisoformat("2026-10-25T02:30"), berlin) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(seconds=st.integers(0, 3600), number=st.integers(0, 10**9))
def test_a_delay_is_within_its_bound_and_always_the_same(seconds, number):
    moment = datetime.fromtimestamp(number, tz=UTC)
    once = calendar.delay("a", moment, timedelta(seconds=seconds))

    assert timedelta() <= once <= timedelta(seconds=seconds)
    assert once == calendar.delay("a", moment, timedelta(seconds=seconds))
