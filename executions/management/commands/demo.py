"""Run the shipped example and show all of it: what `bin/demo` calls."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from executions import services
from executions.engine.status import Status
from executions.errors import WaitTimedOut
from executions.following import follow
from executions.management import example, graph_argument
from executions.management.progress_view import show_progress, show_result
from executions.management.terminal import console_on
from graphs.management.base import GraphCommand

NEXT = (
    ("bin/up", "console and API on this machine: there you see each node's inputs, outputs and times"),
    ("examples/digest/", "the graph and the documents of this demo: change them and run it again"),
    ("README.md", "what else a graph can do, and how to write a block of your own"),
)


class Command(GraphCommand):
    help = "Run the shipped example: an agent that reads four documents and writes a digest of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--timeout", type=float, default=300.0, metavar="S", help="watch no longer than this (default: %(default)g)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.IS_DEVELOPMENT:
            raise CommandError("The demo is for development: it makes a user and asks the language model.")
        console, texts, owner = console_on(self.stdout), example.documents(), example.owner()
        version = graph_argument.bring_in(example.GRAPH, owner=owner)
        _introduce(console, texts)
        execution = services.start(version_id=version.pk, owner_id=owner.pk, inputs={"documents": texts})
        try:
            snapshot = show_progress(follow(execution.pk, timeout_s=options["timeout"]), console)
        except WaitTimedOut as error:
            raise CommandError(f"{error.message} Do workers and the language model run? See .local/logs/.") from error
        show_result(snapshot, console)
        if snapshot.status is not Status.SUCCEEDED:
            sys.exit(1)
        _conclude(console, tokens=snapshot.execution.input_tokens + snapshot.execution.output_tokens)


def _introduce(console: Console, texts: list[str]) -> None:
    kilobytes = sum(len(text.encode()) for text in texts) / 1000
    _say(
        console,
        f"An agent reads {len(texts)} documents ({kilobytes:.0f} kB) and writes a digest of them.",
        "It splits each document into sections, asks a language model for the most important sentence of every section,"
        " all of them side by side, and puts the answers together in the order of the texts. PostgreSQL keeps each"
        " result as soon as it is there.",
        f"The model is {settings.OPENAI_MODEL} at {settings.OPENAI_BASE_URL or 'OpenAI'}. These are the nodes of the"
        " graph, examples/digest/graph.yaml, and how often each has run:",
    )


def _conclude(console: Console, *, tokens: int) -> None:
    if settings.OPENAI_BASE_URL:
        _say(
            console,
            f"The price is the list price of the block for {tokens:,} tokens; a model of your own costs nothing.",
        )
    console.print(Text("Where to look next", style="bold"))
    table = Table.grid(padding=(0, 2))
    for place, why in NEXT:
        table.add_row(Text(place, style="cyan"), why)
    console.print(Padding(table, (0, 0, 1, 2), expand=False))


def _say(console: Console, *paragraphs: str) -> None:
    console.print()
    for text in paragraphs:
        console.print(text, soft_wrap=not console.is_terminal)
    console.print()
