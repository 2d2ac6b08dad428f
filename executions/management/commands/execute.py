"""Execute a graph from the command line, and watch it."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rest_framework.utils.encoders import JSONEncoder

from agentplatform.lib import strict_json
from agentplatform.lib.strict_json import JsonRefused
from executions import admission, services
from executions.engine.status import Status
from executions.errors import WaitTimedOut
from executions.following import Snapshot, follow
from executions.management import graph_argument
from executions.management.progress_view import show_progress, show_result
from executions.management.terminal import console_on, printable
from executions.models import Execution
from executions.serializers.executions import ExecutionDetailSerializer
from graphs import texts
from graphs.management.base import GraphCommand

FAILED, USAGE, TIMED_OUT, INTERRUPTED = 1, 2, 3, 130


class Command(GraphCommand):
    help = "Execute a graph and watch it. Exit code: 0 succeeded, 1 did not, 2 could not be started, 3 timed out."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Django's own --version gives way: here it is the graph's.
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("graph", metavar="GRAPH", help=graph_argument.HELP)
        parser.add_argument("--input", action="append", default=[], metavar="NAME=TEXT", help="an input, as text")
        parser.add_argument("--input-json", action="append", default=[], metavar="NAME=JSON", help="an input, as JSON")
        parser.add_argument("--inputs-file", type=Path, metavar="FILE", help="inputs by name, in JSON or YAML")
        parser.add_argument("--version", type=int, metavar="N", help="not the latest version but this one")
        parser.add_argument("--owner", metavar="NAME", help="whose graph it is, if not clear, and who executes it")
        parser.add_argument(
            "--priority",
            type=int,
            default=0,
            metavar="N",
            help="higher goes first where executions stand in line",
        )
        parser.add_argument("--timeout", type=float, metavar="S", help="watch no longer than this; it goes on then")
        parser.add_argument("--json", action="store_true", help="print the execution as JSON, its progress to stderr")

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except CommandError as error:
            error.returncode = USAGE  # an execution that has begun ends with an exit code, not with an error
            raise

    def handle(self, *args: Any, **options: Any) -> None:
        execution = _start(options)
        console = console_on(self.stderr if options["json"] else self.stdout)
        console.print(printable(f"{execution.version}, execution {execution.pk}"), style="bold")
        try:
            snapshot = show_progress(follow(execution.pk, timeout_s=options["timeout"]), console)
        except WaitTimedOut as error:
            self._leave(f"{error.message} {error.hint}", TIMED_OUT)
        except KeyboardInterrupt:
            self._leave(f"Execution {execution.pk} goes on. Nobody watches it here any more.", INTERRUPTED)
        if options["json"]:
            self.stdout.write(_as_json(snapshot.execution), ending="\n")
        else:
            show_result(snapshot, console)
        _exit_as(snapshot)

    def _leave(self, message: str, code: int) -> None:
        self.stderr.write(message, ending="\n")
        sys.exit(code)


def _start(options: dict[str, Any]) -> Execution:
    owner = graph_argument.find_owner(options["owner"])
    inputs = _inputs(options)
    if not admission.LOWEST_PRIORITY <= options["priority"] <= admission.HIGHEST_PRIORITY:
        raise CommandError(f"A priority goes from {admission.LOWEST_PRIORITY} to {admission.HIGHEST_PRIORITY}.")
    path = graph_argument.as_path(options["graph"])
    if path and options["version"] is not None:
        raise CommandError("A document has no --version: name the graph instead.")
    if path:
        version = graph_argument.bring_in(path, owner=owner)
    else:
        version = graph_argument.find_version(options["graph"], owner=owner, number=options["version"])
    owner_id = owner.pk if owner else version.graph.owner_id
    return services.start(version_id=version.pk, owner_id=owner_id, inputs=inputs, priority=options["priority"])


def _inputs(options: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs by name; one given on the command line replaces that of the file."""
    inputs: dict[str, Any] = _read(options["inputs_file"]) if options["inputs_file"] else {}
    inputs |= dict(_split(one, "--input NAME=TEXT") for one in options["input"])
    for name, text in (_split(one, "--input-json NAME=JSON") for one in options["input_json"]):
        try:
            inputs[name] = strict_json.parse(text, max_depth=texts.MAX_DEPTH)
        except JsonRefused as error:
            raise CommandError(f"--input-json {name}: {error.message}") from error
    return inputs


def _read(path: Path) -> dict[str, Any]:
    syntax: texts.Syntax = "json" if path.suffix == ".json" else "yaml"
    try:
        with path.open("rb") as file:
            inputs = texts.parse(file.read(texts.MAX_BYTES[syntax] + 1), syntax)
    except OSError as error:
        raise CommandError(f"{path} can not be read: {error.strerror}.") from error
    if not isinstance(inputs, dict):
        raise CommandError(f"{path} must hold inputs by name.")
    return inputs


def _split(given: str, form: str) -> tuple[str, str]:
    name, sign, value = given.partition("=")
    if not sign or not name:
        raise CommandError(f"Write {form}, not {given!r}.")
    return name, value


def _as_json(execution: Execution) -> str:
    return json.dumps(ExecutionDetailSerializer(execution).data, cls=JSONEncoder, indent=2, ensure_ascii=False)


def _exit_as(snapshot: Snapshot) -> None:
    if snapshot.status is not Status.SUCCEEDED:
        sys.exit(FAILED)
