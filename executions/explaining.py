"""What would run, as data: the nodes of a graph, the segments it is cut into, the canvases it compiles to. Nothing is executed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from executions.engine.compile import Canvas, Chain, Chord, Lane
from executions.engine.compile import compile as compile_plan
from executions.engine.plan import Plan, plan
from executions.engine.spec import LinkSpec, NodeSpec
from executions.launch import limits
from executions.plans import facts_of, plan_of
from graphs import services
from graphs.documents import GraphModel
from graphs.errors import GraphInvalid
from graphs.models import GraphVersion
from graphs.named import wants_of

KINDS = ("task", "chain", "chord")


@dataclass(frozen=True, slots=True)
class NodeExplained:
    """A node: how its block is run, in which segment, and after which other nodes."""

    key: str
    block_id: str
    placement: str
    segment: int
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SegmentExplained:
    """What one task runs together, on which queue, and after which other segments."""

    index: int
    nodes: tuple[str, ...]
    queue: str
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NeedExplained:
    """A credential that a node asks for; by its id if it names one."""

    node: str
    provider: str
    credential_id: UUID | None


@dataclass(frozen=True, slots=True)
class TaskExplained:
    """A task, and the segments that it runs side by side."""

    queue: str
    segments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CanvasExplained:
    """What is sent at once, of one of the `KINDS`: a task, tasks that follow each other, or tasks that meet in a join, the `body`."""

    kind: str
    tasks: tuple[TaskExplained, ...]
    body: TaskExplained | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """What would run. Each wave is sent once all that was sent before has ended."""

    nodes: tuple[NodeExplained, ...]
    segments: tuple[SegmentExplained, ...]
    credentials: tuple[NeedExplained, ...]
    waves: tuple[tuple[CanvasExplained, ...], ...]


def explain_version(version: GraphVersion) -> Explained:
    """Say what an execution of a version would run, or would if that draft were published.

    Raises:
        GraphInvalid: it is a draft that can not be published; all problems are listed.
    """
    return explain(plan_of(version.pk)) if version.is_published else explain_document(GraphModel.load(version))


def explain_document(document: GraphModel) -> Explained:
    """Say what an execution would run of a document, if it were published.

    Raises:
        GraphInvalid: it can not be; all problems are listed.
    """
    if problems := services.problems_of(document):
        raise GraphInvalid(problems)
    nodes = [
        NodeSpec(
            node.id, node.block_id, node.inputs, node.on_error, facts_of(node.block_id), credentials=node.credentials
        )
        for node in document.nodes
    ]
    links = [
        LinkSpec(link.source_id, link.source_name, link.sink_id, link.sink_name, link.is_static)
        for link in document.links
    ]
    return explain(plan(nodes, links))


def explain(planned: Plan) -> Explained:
    """Say what is in a plan."""
    keys = [node.key for node in planned.nodes]
    return Explained(
        nodes=tuple(
            NodeExplained(
                node.key,
                node.block_id,
                str(node.block.placement),
                node.segment,
                tuple(keys[index] for index in node.producers),
            )
            for node in planned.nodes
        ),
        segments=tuple(
            SegmentExplained(
                segment.index,
                tuple(keys[index] for index in segment.nodes),
                segment.queue,
                tuple(sorted(segment.producers)),
            )
            for segment in planned.segments
        ),
        credentials=tuple(
            NeedExplained(node.key, provider, id_) for node in planned.nodes for provider, id_ in wants_of(node)
        ),
        waves=tuple(_waves(planned)),
    )


def _waves(planned: Plan) -> Iterator[tuple[CanvasExplained, ...]]:
    """Yield what is sent, wave by wave, as if all that was sent before had ended."""
    done: set[int] = set()
    while canvases := compile_plan(planned, done, limits()):
        wave = tuple(map(_canvas, canvases))
        yield wave
        for canvas in wave:
            for task in (*canvas.tasks, *([canvas.body] if canvas.body else [])):
                done.update(task.segments)


def _canvas(canvas: Canvas) -> CanvasExplained:
    if isinstance(canvas, Chord):
        return CanvasExplained("chord", tuple(map(_task, canvas.header)), _task(canvas.body))
    if isinstance(canvas, Chain):
        return CanvasExplained("chain", tuple(map(_task, canvas.lanes)))
    return CanvasExplained("task", (_task(canvas),))


def _task(lane: Lane) -> TaskExplained:
    return TaskExplained(lane.queue, lane.segments)
