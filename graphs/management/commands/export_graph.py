"""Take a graph out as a document."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from graphs import services
from graphs.management.base import GraphCommand


class Command(GraphCommand):
    help = "Print a graph as a document: its draft, else its latest version."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("graph", metavar="GRAPH", help="an id, or a name that only one graph has")
        parser.add_argument("--format", choices=["yaml", "json"], default="yaml", dest="syntax")
        parser.add_argument("--number", type=int, metavar="N", help="a published version instead")

    def handle(self, *args: Any, **options: Any) -> None:
        graph = services.find(options["graph"])
        text = services.export_document(graph, syntax=options["syntax"], number=options["number"])
        self.stdout.write(text, ending="")
