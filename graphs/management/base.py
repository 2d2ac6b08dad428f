"""What the commands of this app share: foreseen errors are messages with a way out, files are read to a limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agentplatform.lib.errors import AppError
from graphs import texts
from graphs.documents import GraphModel, parse
from graphs.errors import GraphInvalid, Problem


class GraphCommand(BaseCommand):
    """A command that tells foreseen errors without a traceback."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except GraphInvalid as error:
            raise CommandError(told(error.problems)) from error
        except AppError as error:
            raise CommandError(f"{error.message} {error.hint}".strip()) from error


def told(problems: list[Problem]) -> str:
    """Return problems as a person reads them, one a line."""
    lines = [f"{one.code:<16} {one.path}: {one.message} {one.hint}".rstrip() for one in problems]
    return "\n".join([f"{len(lines)} problem{'' if len(lines) == 1 else 's'}:", *lines])


def read_file(path: Path) -> GraphModel:
    """Return the graph in a file: JSON if it is named so, else YAML.

    Raises:
        CommandError: it can not be read.
        DocumentRefused, GraphInvalid: as `documents.parse`.
    """
    syntax: texts.Syntax = "json" if path.suffix == ".json" else "yaml"
    try:
        with path.open("rb") as file:
            return parse(file.read(texts.MAX_BYTES[syntax] + 1), syntax)
    except OSError as error:
        raise CommandError(f"{path} can not be read: {error.strerror}.") from error
