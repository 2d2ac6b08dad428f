"""Say everything that is wrong with a graph in a file."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from graphs import services
from graphs.errors import GraphInvalid
from graphs.management.base import GraphCommand, read_file


class Command(GraphCommand):
    help = "Check a graph in a JSON or YAML file; nothing is stored. Exit code 1 if it has problems."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        document = read_file(options["file"])
        if problems := services.problems_of(document):
            raise GraphInvalid(problems)
        nodes, links = len(document.nodes), len(document.links)
        self.stdout.write(self.style.SUCCESS(f"{document.name}: {nodes} nodes, {links} links, no problems."))
