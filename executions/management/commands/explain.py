"""Show what would run: the nodes of a graph, the segments it is cut into, the canvases it compiles to."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.tree import Tree

from executions.engine.compile import Canvas, Chain, Chord, Lane
from executions.engine.compile import compile as compile_plan
from executions.engine.plan import Plan, plan
from executions.engine.segments import Segment
from executions.engine.spec import LinkSpec, NodeSpec
from executions.launch import limits
from executions.management import graph_argument
from executions.management.terminal import console_on, printable
from executions.plans import facts_of, plan_of
from graphs import services
from graphs.documents import GraphModel
from graphs.errors import GraphInvalid
from graphs.management.base import GraphCommand, read_file
from graphs.named import wants_of


class Command(GraphCommand):
    help = "Show how a graph is cut into segments, and the canvases it compiles to. Nothing is executed."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Django's own --version gives way: here it is the graph's.
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("graph", metavar="GRAPH", help=graph_argument.HELP)
        parser.add_argument("--version", type=int, metavar="N", help="not the latest version but this one")

    def handle(self, *args: Any, **options: Any) -> None:
        title, planned = _planned(options["graph"], options["version"])
        console = console_on(self.stdout)
        console.print(printable(title), style="bold")
        console.print(_nodes(planned))
        console.print(_segments(planned))
        if needs := list(_needs(planned)):
            console.print(_credentials(needs))
        for number, canvases in enumerate(_waves(planned), start=1):
            console.print(_wave(planned, number, canvases))


def _planned(reference: str, number: int | None) -> tuple[str, Plan]:
    path = graph_argument.as_path(reference)
    if path is None:
        version = graph_argument.find_version(reference, owner=None, number=number)
        return str(version), plan_of(version.pk)
    if number is not None:
        raise CommandError("A document has no --version: name the graph instead.")
    document = read_file(path)
    if problems := services.problems_of(document):
        raise GraphInvalid(problems)
    return document.name, _plan_of_document(document)


def _plan_of_document(document: GraphModel) -> Plan:
    return plan(
        [
            NodeSpec(node.id, node.block_id, node.inputs, node.on_error, facts_of(node.block_id))
            for node in document.nodes
        ],
        [
            LinkSpec(link.source_id, link.source_name, link.sink_id, link.sink_name, link.is_static)
            for link in document.links
        ],
    )


def _waves(planned: Plan) -> Iterator[list[Canvas]]:
    """Yield what is sent, wave by wave, as if all that was sent before had ended."""
    done: set[int] = set()
    while canvases := compile_plan(planned, done, limits()):
        yield canvases
        done.update(segment for canvas in canvases for lane in _lanes(canvas) for segment in lane.segments)


def _lanes(canvas: Canvas) -> tuple[Lane, ...]:
    if isinstance(canvas, Chain):
        return canvas.lanes
    return (*canvas.header, canvas.body) if isinstance(canvas, Chord) else (canvas,)


def _nodes(planned: Plan) -> Tree:
    tree = Tree(_count(len(planned.nodes), "node"))
    for node in planned.nodes:
        waits = ", ".join(planned.nodes[index].key for index in node.producers)
        tree.add(f"{node.key}  {node.block.placement}, segment {node.segment}{f', after {waits}' if waits else ''}")
    return tree


def _needs(planned: Plan) -> Iterator[str]:
    for node in planned.nodes:
        for provider, id_ in wants_of(node):
            yield f"{node.key}  {provider}{f', the one with the id {id_}' if id_ else ''}"


def _credentials(needs: list[str]) -> Tree:
    tree = Tree(_count(len(needs), "credential"))
    for need in needs:
        tree.add(need)
    return tree


def _segments(planned: Plan) -> Tree:
    tree = Tree(_count(len(planned.segments), "segment"))
    for segment in planned.segments:
        waits = ", ".join(map(str, sorted(segment.producers)))
        tree.add(f"{_segment(planned, segment)}  queue {segment.queue}{f', after {waits}' if waits else ''}")
    return tree


def _wave(planned: Plan, number: int, canvases: list[Canvas]) -> Tree:
    tree = Tree(f"wave {number}")
    for canvas in canvases:
        _add_canvas(tree, planned, canvas)
    return tree


def _add_canvas(tree: Tree, planned: Plan, canvas: Canvas) -> None:
    if isinstance(canvas, Lane):
        _add_lane(tree, planned, canvas)
    elif isinstance(canvas, Chain):
        branch = tree.add("chain")
        for lane in canvas.lanes:
            _add_lane(branch, planned, lane)
    else:
        branch = tree.add("chord")
        header = branch.add("header")
        for lane in canvas.header:
            _add_lane(header, planned, lane)
        _add_lane(branch.add("body"), planned, canvas.body)


def _add_lane(tree: Tree, planned: Plan, lane: Lane) -> None:
    branch = tree.add(f"task on {lane.queue}")
    for index in lane.segments:
        branch.add(_segment(planned, planned.segments[index]))


def _segment(planned: Plan, segment: Segment) -> str:
    return f"segment {segment.index}: {' '.join(planned.nodes[index].key for index in segment.nodes)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
