"""How the command is put together: a noun such as `schedules` has verbs of its own, and what all of them share is here."""

from __future__ import annotations

import argparse
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from agentplatform_client.calls import Call
from agentplatform_client.cli import codes
from agentplatform_client.cli.naming import id_of
from agentplatform_client.cli.printing import Printer, text_of
from agentplatform_client.client import Client
from agentplatform_client.errors import UsageError

Verb = Callable[[Client, Namespace, Printer], int]
#: The head of a column, and what stands in it for one entry.
Columns = Mapping[str, Callable[[Mapping[str, Any]], Any]]


class Noun:
    """A kind of thing on the command line, and its verbs."""

    def __init__(self, verbs: Any, common: ArgumentParser, name: str, about: str, *, one: str) -> None:
        parser = verbs.add_parser(name, help=about, description=about)
        self._common = common
        self._verbs = parser.add_subparsers(required=True, metavar="VERB")
        self.one = one

    def add(self, name: str, about: str, verb: Verb, *, takes_id: bool = False) -> ArgumentParser:
        """Add a verb; one that `takes_id` is about one thing, which is named by it."""
        added: ArgumentParser = self._verbs.add_parser(name, parents=[self._common], help=about, description=about)
        if takes_id:
            added.add_argument("id", metavar=self.one.upper(), help=f"the id of a {self.one}")
        added.set_defaults(verb=verb)
        return added

    def add_list(self, name: str, about: str, ask: Callable[..., Call[Any]], columns: Columns) -> ArgumentParser:
        """Add a verb that lists all of this kind."""
        return add_limit(
            self.add(name, about, lambda client, asked, printer: show(client, asked, printer, ask(), columns))
        )

    def add_list_of(self, name: str, about: str, ask: Callable[..., Call[Any]], columns: Columns) -> ArgumentParser:
        """Add a verb that lists what belongs to one of this kind, or that of a status."""

        def verb(client: Client, asked: Namespace, printer: Printer) -> int:
            return show(client, asked, printer, ask(self.id(asked), status=asked.status or None), columns)

        parser = self.add(name, about, verb, takes_id=True)
        parser.add_argument("--status", action="append", metavar="STATUS", help="may be given several times")
        return add_limit(parser)

    def add_act(
        self,
        name: str,
        about: str,
        ask: Callable[[str], Call[Any]],
        told: Callable[[Any], Iterable[str]] = lambda answer: (),
        *,
        code: Callable[[Any], int] = lambda answer: codes.SUCCEEDED,
    ) -> ArgumentParser:
        """Add a verb that does something with one of this kind, and says what came of it."""

        def verb(client: Client, asked: Namespace, printer: Printer) -> int:
            answer = client.do(ask(self.id(asked)))
            if answer is None:
                printer.note(f"{name}: done.")
            else:
                printer.result(answer, told(answer))
            return code(answer)

        return self.add(name, about, verb, takes_id=True)

    def id(self, asked: Namespace) -> str:
        """Return the id that was named.

        Raises:
            UsageError: it is none.
        """
        return id_of(asked.id, self.one)


def show(client: Client, asked: Namespace, printer: Printer, call: Call[Any], columns: Columns) -> int:
    """Print a list as a table."""
    found = list(islice(client.each(call), asked.limit))
    printer.table(found, list(columns), [[cell(one) for cell in columns.values()] for one in found])
    return codes.SUCCEEDED


def add_limit(parser: ArgumentParser) -> ArgumentParser:
    """Let a list be cut off."""
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="so many (default: %(default)s)")
    return parser


def field(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return what reads a field; nothing there is shown as nothing."""
    return lambda one: one[name] if one[name] not in (None, "", []) else "-"


def moment(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return what reads a time, to the second."""
    return lambda one: str(one[name])[:19] if one[name] else "-"


def lines_of(names: Sequence[str]) -> Callable[[Mapping[str, Any]], list[str]]:
    """Return what shows some fields, one a line."""
    width = max(len(name) for name in names)
    return lambda one: [f"{name.replace('_', ' ').ljust(width)}  {text_of(field(name)(one))}" for name in names]


def pairs(given: Sequence[str], form: str) -> dict[str, str]:
    """Return what was given as NAME=VALUE, several times.

    Raises:
        UsageError: one is not of this form.
    """
    found = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name:
            raise UsageError(f"Write {form}, not {one!r}.")
        found[name] = value
    return found


def as_json(text: str) -> Any:
    """Return what a text of JSON says; for argparse."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON: {error}") from None


def as_moment(text: str) -> datetime:
    """Return a time; for argparse."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, such as 2026-06-01T12:00Z") from None
