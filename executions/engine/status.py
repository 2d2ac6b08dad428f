"""The life cycles of executions and node executions, as data."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar


class Status(StrEnum):
    """Where an execution stands."""

    #: Accepted and kept; no worker has begun.
    QUEUED = "QUEUED"
    #: At least one node has begun.
    RUNNING = "RUNNING"
    #: Nothing runs; a person, a time, an event or another execution is awaited.
    WAITING = "WAITING"
    #: Asked to stop; what runs is being stopped.
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"


class NodeStatus(StrEnum):
    """Where a node execution stands."""

    #: To be begun again: its wait was answered, or the pause before its next attempt ends at `due_at`.
    PENDING = "PENDING"
    #: A worker holds the lease.
    RUNNING = "RUNNING"
    #: Suspended: it holds no worker until what it waits for comes.
    WAITING = "WAITING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    #: A pin it needs will never get a value here.
    SKIPPED = "SKIPPED"
    #: A value arrived that found no partner on another pin.
    INCOMPLETE = "INCOMPLETE"
    CANCELLED = "CANCELLED"


_ENDS = frozenset({Status.FAILED, Status.CANCELLED, Status.BUDGET_EXCEEDED})

FROM_HERE: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING}) | _ENDS,
    Status.RUNNING: frozenset({Status.WAITING, Status.CANCELLING, Status.SUCCEEDED}) | _ENDS,
    Status.WAITING: frozenset({Status.RUNNING, Status.CANCELLING, Status.SUCCEEDED}) | _ENDS,
    Status.CANCELLING: _ENDS,
    **{final: frozenset() for final in (Status.SUCCEEDED, *_ENDS)},
}

_NODE_ENDS = frozenset(
    {NodeStatus.SUCCEEDED, NodeStatus.FAILED, NodeStatus.SKIPPED, NodeStatus.INCOMPLETE, NodeStatus.CANCELLED}
)

NODE_FROM_HERE: dict[NodeStatus, frozenset[NodeStatus]] = {
    NodeStatus.PENDING: frozenset({NodeStatus.RUNNING}) | _NODE_ENDS,
    NodeStatus.RUNNING: frozenset({NodeStatus.WAITING, NodeStatus.PENDING}) | _NODE_ENDS,
    NodeStatus.WAITING: frozenset({NodeStatus.RUNNING, NodeStatus.PENDING}) | _NODE_ENDS,
    **{final: frozenset() for final in _NODE_ENDS},
}

FINAL: frozenset[Status] = frozenset(here for here, targets in FROM_HERE.items() if not targets)
NODE_FINAL: frozenset[NodeStatus] = _NODE_ENDS

S = TypeVar("S", Status, NodeStatus)


def sources_of(target: S, cycle: dict[S, frozenset[S]]) -> list[S]:
    """Return every status of `cycle` from which `target` may be reached."""
    return [here for here, targets in cycle.items() if target in targets]
