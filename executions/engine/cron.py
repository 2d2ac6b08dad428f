"""What a cron expression says, as sets of numbers: five fields, read as Unix reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class CronInvalid(ValueError):
    """The expression is none; the text says which part."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()


_MINUTE, _HOUR, _DAY = _Field("minute", 0, 59), _Field("hour", 0, 23), _Field("day of the month", 1, 31)
_MONTH = _Field("month", 1, 12, MONTHS)
# 7 is Sunday too, so it may end a range.
_WEEKDAY = _Field("day of the week", 0, 7, WEEKDAYS)
_FIELDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


@dataclass(frozen=True, slots=True)
class Cron:
    """The minutes that an expression means, on the days that it means."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    #: Sunday is 0.
    weekdays: frozenset[int]
    #: Neither field of days begins with a star: then a day may fit either.
    either_day: bool

    @property
    def is_hourly(self) -> bool:
        """Say whether it means every hour of a day: then it goes by how much time has passed."""
        return len(self.hours) == 24

    def is_on(self, day: date) -> bool:
        """Say whether it means anything on this day."""
        if day.month not in self.months:
            return False
        by_month, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_month or by_week if self.either_day else by_month and by_week


def parse(text: str) -> Cron:
    """Read an expression: numbers, names, ranges that may wrap, lists and steps; 0 and 7 are Sunday.

    Raises:
        CronInvalid: it is none.
    """
    text = text.strip().lower()
    parts = MACROS.get(text, text).split()
    if len(parts) != len(_FIELDS):
        raise CronInvalid(f"A cron expression has 5 fields or is one of {', '.join(MACROS)}; here are {len(parts)}.")
    minutes, hours, days, months, weekdays = (_numbers(part, field) for part, field in zip(parts, _FIELDS, strict=True))
    return Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(day % 7 for day in weekdays),
        either_day=not (parts[2].startswith("*") or parts[4].startswith("*")),
    )


def _numbers(part: str, field: _Field) -> set[int]:
    return {number for term in part.split(",") for number in _term(term, field)}


def _term(term: str, field: _Field) -> list[int]:
    span, slash, step = term.partition("/")
    numbers = _span(span, field)
    if not slash:
        return numbers
    if span != "*" and "-" not in span:
        raise CronInvalid(
            f"In the {field.name}, {term!r} needs a range before its step, such as {span}-{field.last}/{step}."
        )
    if not (step.isascii() and step.isdigit() and int(step)):
        raise CronInvalid(f"In the {field.name}, {term!r} needs a whole number from 1 as its step.")
    return numbers[:: int(step)]


def _span(span: str, field: _Field) -> list[int]:
    if span == "*":
        return list(range(field.first, field.last + (field is not _WEEKDAY)))
    first, dash, last = span.partition("-")
    if not dash:
        return [_number(first, field)]
    start, end = _number(first, field), _number(last, field)
    if field is _WEEKDAY and start == field.last != end:
        start = field.first
    if start <= end:
        return list(range(start, end + 1))
    # It wraps: from Friday to Monday, from 22 to 2 o'clock. Sunday is there once.
    return [*range(start, field.last + (field is not _WEEKDAY)), *range(field.first, end + 1)]


def _number(text: str, field: _Field) -> int:
    if text in field.names:
        return field.names.index(text) + field.first
    if text.isascii() and text.isdigit() and len(text) <= 2 and field.first <= int(text) <= field.last:
        return int(text)
    named = f" or a name such as {field.names[0]}" if field.names else ""
    raise CronInvalid(f"The {field.name} is a number from {field.first} to {field.last}{named}; here is {text[:20]!r}.")
