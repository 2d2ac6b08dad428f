"""`agentplatform`: run, follow and look after executions and graphs of a platform elsewhere."""

from __future__ import annotations

import argparse
import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from agentplatform_client.cli import (
    answering,
    building,
    codes,
    drawing,
    filing,
    hooking,
    many,
    naming,
    running,
    sealing,
    spending,
    subscribing,
    timing,
)
from agentplatform_client.cli.nouns import Noun, Verb, as_json
from agentplatform_client.cli.printing import Printer
from agentplatform_client.client import Client
from agentplatform_client.errors import ApiError, NotFound, Refused, TimedOut, Unreachable, UsageError
from agentplatform_client.settings import KEY, URL

NOUNS = (
    ("approvals", "approval", "What people are asked: list, get, answer.", answering.declare),
    ("blocks", "block", "The blocks that are installed: list, get.", building.declare),
    ("budgets", "budget", "What executions may cost: list, set, delete.", spending.declare_budgets),
    ("credentials", "credential", "Keys for the outside: list, add, test, revoke, delete.", sealing.declare),
    ("files", "file", "Files: list, upload, get, download, delete.", filing.declare),
    ("money", "entry", "What you have and where it went: balance, costs, entries.", spending.declare),
    (
        "schedules",
        "schedule",
        "Starts by the clock: list, create, get, pause, resume, fire, fires, delete.",
        timing.declare,
    ),
    (
        "subscriptions",
        "subscription",
        "Who is told what happens: list, create, get, enable, disable, rotate, ping, deliveries, resend, delete.",
        subscribing.declare,
    ),
    (
        "webhooks",
        "webhook",
        "Addresses that start graphs: list, create, get, enable, disable, rotate, deliveries, replay, delete.",
        hooking.declare,
    ),
)
EPILOG = f"""\
{URL} says where the platform is, {KEY} proves who asks.

Exit codes: 0 succeeded, 1 the execution did not succeed or something differs, 2 asked wrongly, 3 not found,
4 refused, 5 no answer, 6 not ended within --timeout, 130 interrupted.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says. Return the exit code."""
    asked = _parser().parse_args(arguments)
    printer = Printer(as_json=asked.json)
    try:
        with Client(asked.url) as client:
            verb: Verb = asked.verb
            return verb(client, asked, printer)
    except KeyboardInterrupt:
        return codes.INTERRUPTED
    except BrokenPipeError:
        # Whoever read has seen enough. What is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return codes.SUCCEEDED
    except (ApiError, UsageError, TimedOut, Unreachable) as error:
        _tell(error, printer)
        return _code_of(error)


def _tell(error: Exception, printer: Printer) -> None:
    printer.note(f"agentplatform: {error}")
    if isinstance(error, ApiError):
        told = {error.message, ""}
        for one in error.errors:
            where, hint = one.get("path", ""), one.get("hint", "")
            printer.note(f"  {where}" if one["message"] in told else f"  {where}: {one['message']} {hint}".rstrip())
        # Where several things are wrong, this one only says so.
        if error.hint and len(error.errors) < 2:
            printer.note(f"  {error.hint}")


def _code_of(error: Exception) -> int:
    match error:
        case NotFound() | naming.NotThere():
            return codes.NOT_FOUND
        case Refused():
            return codes.REFUSED
        case Unreachable():
            return codes.UNREACHABLE
        case TimedOut():
            return codes.TIMED_OUT
    return codes.USAGE


def _parser() -> ArgumentParser:
    common = ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print for programs")
    common.add_argument("--url", metavar="URL", help=f"where the platform is, instead of {URL}")
    parser = ArgumentParser(
        prog="agentplatform", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def add(name: str, verb: Verb) -> ArgumentParser:
        about = (verb.__doc__ or "").splitlines()[0]
        added = verbs.add_parser(name, parents=[common], help=about, description=about)
        added.set_defaults(verb=verb)
        return added

    _add_run(add("run", running.run))
    _add_following(add("follow", running.follow))
    _add_following(add("logs", running.logs))
    _add_list(add("list", running.show_list))
    get = add("get", running.get)
    get.add_argument("execution", metavar="EXECUTION")
    get.add_argument("--nodes", action="store_true", help="and what its nodes did")
    for name, verb in (("cancel", many.cancel), ("pause", many.pause), ("resume", many.resume)):
        one = add(name, verb)
        one.add_argument("executions", metavar="EXECUTION", nargs="*")
        _add_all(one)
    _add_retry(add("retry", running.retry))
    _add_export(add("export", drawing.export))
    bring_in = add("import", drawing.bring_in)
    bring_in.add_argument("files", metavar="FILE", nargs="+", type=Path)
    bring_in.add_argument("--publish", action="store_true", help="publish each as version 1")
    _add_paths(apply := add("apply", drawing.apply))
    apply.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    _add_paths(add("diff", drawing.diff))
    event = add("event", answering.send_event)
    event.add_argument("name", metavar="NAME", help="such as invoice.paid")
    event.add_argument("--payload-json", type=as_json, metavar="JSON", help="what comes with it")
    for plural, singular, about, declare in NOUNS:
        declare(Noun(verbs, common, plural, about, one=singular))
    return parser


def _add_run(parser: ArgumentParser) -> None:
    parser.add_argument(
        "graph", metavar="GRAPH", help="an id, a name, or the file of a document, which is applied first"
    )
    parser.add_argument("--version", type=int, metavar="N", help="not the latest version but this one")
    parser.add_argument("--priority", type=int, metavar="N", help="higher goes first among your own that stand in line")
    parser.add_argument("--budget", type=int, metavar="MICROCREDITS", help="what it may cost at the most")
    parser.add_argument("--idempotency-key", metavar="KEY", help="starts only one execution, however often it is sent")
    _add_inputs(parser)
    _add_end(parser)


def _add_retry(parser: ArgumentParser) -> None:
    parser.add_argument("execution", metavar="EXECUTION", nargs="?")
    _add_all(parser)
    parser.add_argument("--from-node", metavar="NODE", help="run this node again, and all that can hear of it")
    parser.add_argument("--newest", action="store_true", help="on the newest version of the graph")
    parser.add_argument("--preview", action="store_true", help="only say what would stand and what would run")
    _add_inputs(parser)
    _add_end(parser)


def _add_inputs(parser: ArgumentParser) -> None:
    parser.add_argument("--input", action="append", default=[], metavar="NAME=TEXT", help="an input, as text")
    parser.add_argument("--input-json", action="append", default=[], metavar="NAME=JSON", help="an input, as JSON")
    parser.add_argument("--inputs-file", type=Path, metavar="FILE", help="inputs by name, in JSON or YAML")


def _add_end(parser: ArgumentParser) -> None:
    parser.add_argument("--detach", action="store_true", help="print its id and do not wait for its end")
    parser.add_argument("--timeout", type=float, metavar="S", help="wait no longer than this; it goes on then")


def _add_following(parser: ArgumentParser) -> None:
    parser.add_argument("execution", metavar="EXECUTION")
    parser.add_argument("--after", type=int, default=0, metavar="N", help="leave out the first N events")
    parser.add_argument("--timeout", type=float, metavar="S", help="follow no longer than this")


def _add_list(parser: ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=["executions", "graphs"], default="executions")
    _add_filter(parser)
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="so many (default: %(default)s)")


def _add_all(parser: ArgumentParser) -> None:
    _add_filter(parser.add_argument_group("instead of naming them, all that match"))
    parser.add_argument("--limit", type=int, metavar="N", help="so many at the most, the oldest first (default: 100)")
    parser.add_argument("--dry-run", action="store_true", help="only say how many they are")


def _add_filter(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--status", action="append", metavar="STATUS", help="of executions; may be given several times")
    parser.add_argument("--graph", metavar="GRAPH", help="of executions: those of this graph, by id or name")
    for name, about in (
        ("after", "at this moment or later, such as 2026-06-01T12:00Z"),
        ("before", "earlier than this"),
    ):
        parser.add_argument(f"--created-{name}", metavar="TIME", type=datetime.fromisoformat, help=about)


def _add_export(parser: ArgumentParser) -> None:
    parser.add_argument("graph", metavar="GRAPH", help="an id or a name")
    parser.add_argument("--format", choices=["yaml", "json"])
    parser.add_argument("--version", type=int, metavar="N", help="a version; else what is drawn now")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE")


def _add_paths(parser: ArgumentParser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="a document, or a folder of them")
    parser.add_argument("--prune", action="store_true", help="and put graphs away that no document names")


if __name__ == "__main__":
    sys.exit(main())
