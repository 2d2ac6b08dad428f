"""Show what would run: the nodes of a graph, the segments it is cut into, the canvases it compiles to."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.tree import Tree

from executions.explaining import (
    CanvasExplained,
    Explained,
    SegmentExplained,
    TaskExplained,
    explain_document,
    explain_version,
)
from executions.management import graph_argument
from executions.management.terminal import console_on, printable
from graphs.management.base import GraphCommand, read_file


class Command(GraphCommand):
    help = "Show how a graph is cut into segments, and the canvases it compiles to. Nothing is executed."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Django's own --version gives way: here it is the graph's.
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("graph", metavar="GRAPH", help=graph_argument.HELP)
        parser.add_argument("--version", type=int, metavar="N", help="not the latest version but this one")

    def handle(self, *args: Any, **options: Any) -> None:
        title, explained = _explained(options["graph"], options["version"])
        console = console_on(self.stdout)
        console.print(printable(title), style="bold")
        console.print(_nodes(explained))
        console.print(_segments(explained))
        if explained.credentials:
            console.print(_credentials(explained))
        for number, canvases in enumerate(explained.waves, start=1):
            console.print(_wave(explained, number, canvases))


def _explained(reference: str, number: int | None) -> tuple[str, Explained]:
    path = graph_argument.as_path(reference)
    if path is None:
        version = graph_argument.find_version(reference, owner=None, number=number)
        return str(version), explain_version(version)
    if number is not None:
        raise CommandError("A document has no --version: name the graph instead.")
    document = read_file(path)
    return document.name, explain_document(document)


def _nodes(explained: Explained) -> Tree:
    tree = Tree(_count(len(explained.nodes), "node"))
    for node in explained.nodes:
        waits = f", after {', '.join(node.after)}" if node.after else ""
        tree.add(f"{node.key}  {node.placement}, segment {node.segment}{waits}")
    return tree


def _credentials(explained: Explained) -> Tree:
    tree = Tree(_count(len(explained.credentials), "credential"))
    for need in explained.credentials:
        named = f", the one with the id {need.credential_id}" if need.credential_id else ""
        tree.add(f"{need.node}  {need.provider}{named}")
    return tree


def _segments(explained: Explained) -> Tree:
    tree = Tree(_count(len(explained.segments), "segment"))
    for segment in explained.segments:
        waits = f", after {', '.join(map(str, segment.after))}" if segment.after else ""
        tree.add(f"{_segment(segment)}  queue {segment.queue}{waits}")
    return tree


def _wave(explained: Explained, number: int, canvases: Sequence[CanvasExplained]) -> Tree:
    tree = Tree(f"wave {number}")
    for canvas in canvases:
        branch = tree if canvas.kind == "task" else tree.add(canvas.kind)
        tasks = branch.add("header") if canvas.body else branch
        for task in canvas.tasks:
            _add_task(tasks, explained, task)
        if canvas.body:
            _add_task(branch.add("body"), explained, canvas.body)
    return tree


def _add_task(tree: Tree, explained: Explained, task: TaskExplained) -> None:
    branch = tree.add(f"task on {task.queue}")
    for index in task.segments:
        branch.add(_segment(explained.segments[index]))


def _segment(segment: SegmentExplained) -> str:
    return f"segment {segment.index}: {' '.join(segment.nodes)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
