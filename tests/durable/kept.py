"""What is stored of executions in a history: rows of plain values that are never changed, only replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from blocks.sdk import Placement
from executions.engine.compile import runnable
from executions.engine.items import Outcome, Path
from executions.engine.plan import Plan
from executions.engine.progress import Progress, ended_segments
from executions.engine.segments import CPU_QUEUE, DEFAULT_QUEUE, Segment
from executions.engine.status import FINAL, NODE_FINAL, NodeStatus, Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.leases import MARK_BITS

#: A firing: its node's key and its item path.
Place = tuple[str, Path]

GOING = frozenset({Status.RUNNING, Status.WAITING, Status.CANCELLING})
WRITABLE = frozenset({Status.RUNNING, Status.WAITING})
SUSPENDED = frozenset({NodeStatus.WAITING, NodeStatus.PENDING})


@dataclass(frozen=True, slots=True)
class Row:
    """A node execution."""

    status: NodeStatus
    attempt: int = 1
    crashes: int = 0
    lost: tuple[int, ...] = ()
    is_to_blame: bool = True
    fence: int = 0
    lease_expires_at: float | None = None
    due_at: float | None = None
    worker: str = ""
    waits: int = 0
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, list[Any]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    error_code: str = ""
    usage: Mapping[str, int | float | str] = field(default_factory=dict)
    cost_microcredits: int = 0
    history: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_final(self) -> bool:
        return self.status in NODE_FINAL

    @property
    def outcome(self) -> Outcome:
        """Return it as the engine sees it."""
        return Outcome(self.status, self.outputs)

    def is_live(self, now: float) -> bool:
        """Say whether a worker holds it."""
        return self.status is NodeStatus.RUNNING and self.lease_expires_at is not None and self.lease_expires_at >= now

    def is_granted_to(self, worker: str, mark: int) -> bool:
        """Say whether it was granted to the very request that now asks again."""
        is_marked = self.fence & ((1 << MARK_BITS) - 1) == mark
        return self.status is NodeStatus.RUNNING and self.worker == worker and is_marked

    def waits_beyond(self, moment: float) -> bool:
        """Say whether it is suspended and not begun again before then, if nobody answers."""
        if self.status is NodeStatus.PENDING:
            return self.due_at is not None and self.due_at > moment
        return self.status is NodeStatus.WAITING

    def is_claimable(self, now: float) -> bool:
        """Say whether it may be taken: its lease has run out, or its pause is over."""
        if self.status is NodeStatus.PENDING:
            return self.due_at is not None and self.due_at <= now
        return self.status is NodeStatus.RUNNING and not self.is_live(now)


@dataclass(frozen=True, slots=True)
class WaitRow:
    """A wait of a firing."""

    kind: WaitKind
    status: WaitStatus = WaitStatus.OPEN
    due_at: float | None = None
    answer: Any = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An execution, with its firings and waits."""

    id: UUID
    #: As the release cut it that started this execution: `done` are the numbers of its segments.
    plan: Plan
    inputs: Mapping[str, Any]
    status: Status = Status.QUEUED
    done: tuple[int, ...] = ()
    is_stopping: bool = False
    is_paused: bool = False
    error_code: str = ""
    error_node: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    launched_at: float = 0.0
    launches: int = 1
    rows: Mapping[Place, Row] = field(default_factory=dict)
    waits: Mapping[tuple[Place, str], WaitRow] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    def known(self) -> dict[tuple[int, Path], Outcome]:
        """Return how its firings have ended so far."""
        index_of = self.plan.index_of
        return {(index_of[key], path): row.outcome for (key, path), row in self.rows.items() if row.is_final}

    def ended(self, plan: Plan) -> frozenset[int]:
        """`known.ended_segments`."""
        if plan.mark == self.plan.mark:
            return frozenset(self.done)
        return ended_segments(plan, self.known())


def ready_of(kept: Kept, plan: Plan) -> set[Place]:
    """`rest._ready`."""
    done = kept.ended(plan)
    segments = runnable(plan, done)
    progress = Progress(plan, segments, done=done, known=known_outcomes(kept, plan, segments))
    return {(plan.nodes[firing.node].key, firing.path) for firing in progress.take_ready()}


def cut_finer(one: Plan) -> Plan:
    """Return a plan with each node a segment of its own."""
    return Plan(
        nodes=tuple(replace(node, segment=node.index) for node in one.nodes),
        segments=tuple(
            Segment(
                index=node.index,
                nodes=(node.index,),
                queue=CPU_QUEUE if node.block.placement is Placement.CPU else DEFAULT_QUEUE,
                producers=frozenset(node.producers),
                consumers=frozenset(node.consumers),
            )
            for node in one.nodes
        ),
    )


def known_outcomes(kept: Kept, plan: Plan, segments: Iterable[int]) -> dict[tuple[int, Path], Outcome]:
    """`known.known_outcomes`."""
    nodes = {node for segment in segments for node in plan.segments[segment].nodes}
    nodes |= {producer for node in nodes for producer in plan.nodes[node].producers}
    return {(node, path): outcome for (node, path), outcome in kept.known().items() if node in nodes}
