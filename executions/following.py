"""Follow an execution while it runs: what `execute` and `demo` draw."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import BigIntegerField, Count, Max, Min, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from agentplatform.lib.clock import now
from executions import admission
from executions.engine.status import FINAL, NODE_FINAL, NodeStatus, Status
from executions.engine.waits import WaitKind
from executions.errors import WaitTimedOut
from executions.models import Execution, NodeExecution, Wait
from executions.plans import plan_of
from executions.presenting import elapsed, show_wait
from graphs.models import Node

LOOK_EVERY_S = 0.2
#: A look may take at most this part of the time, so that following a huge execution does not slow it down.
LARGEST_SHARE = 0.1
WAITS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class NodeProgress:
    """How all firings of one node stand; no counts mean that none has begun."""

    key: str
    title: str
    counts: Mapping[NodeStatus, int]
    duration: timedelta | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microcredits: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How an execution stands: its nodes in the order in which they are planned."""

    execution: Execution
    nodes: tuple[NodeProgress, ...]
    at: datetime
    #: In the line of its owner, while it waits to be admitted.
    position: int | None = None
    #: What its suspended firings wait for, the first ones.
    waits: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """Return the execution's status."""
        return Status(self.execution.status)

    @property
    def is_final(self) -> bool:
        """Say whether it has ended."""
        return self.status in FINAL

    @property
    def duration(self) -> timedelta:
        """Return how long it took or has taken since it was asked for."""
        return elapsed(self.execution.created_at, self.execution.ended_at, at=self.at) or timedelta()


def follow(execution_id: UUID, *, every_s: float = LOOK_EVERY_S, timeout_s: float | None = None) -> Iterator[Snapshot]:
    """Yield how the execution stands, again and again; the last snapshot is of its end.

    Raises:
        WaitTimedOut: it has not ended in time; it goes on.
    """
    began = time.monotonic()
    titles = _titles(Execution.objects.only("version_id").get(pk=execution_id).version_id)
    while True:
        looked_at = time.monotonic()
        snapshot = _look(execution_id, titles)
        took_s = time.monotonic() - looked_at
        yield snapshot
        if snapshot.is_final:
            return
        if timeout_s is not None and time.monotonic() - began > timeout_s:
            raise WaitTimedOut(f"Execution {execution_id} is {snapshot.status} after {timeout_s:g} s.")
        time.sleep(max(every_s, took_s / LARGEST_SHARE))


def look(execution_id: UUID) -> Snapshot:
    """Return how the execution stands now."""
    return _look(execution_id, _titles(Execution.objects.only("version_id").get(pk=execution_id).version_id))


def _look(execution_id: UUID, titles: Mapping[str, str]) -> Snapshot:
    # The execution first: where it has ended, its nodes are complete too.
    execution = Execution.objects.select_related("version__graph").get(pk=execution_id)
    at = now()
    by_node: dict[str, list[dict[str, Any]]] = {}
    for row in _counts(execution_id):
        by_node.setdefault(row["node_key"], []).append(row)
    nodes = (_progress(key, title, by_node.get(key, []), at=at) for key, title in titles.items())
    waits = tuple(_waits(execution_id, titles)) if _is_suspended(by_node) else ()
    return Snapshot(execution, tuple(nodes), at, admission.position(execution), waits)


def _is_suspended(by_node: Mapping[str, list[dict[str, Any]]]) -> bool:
    return any(row["status"] == NodeStatus.WAITING for rows in by_node.values() for row in rows)


def _waits(execution_id: UUID, titles: Mapping[str, str]) -> Iterator[str]:
    waits = Wait.objects.filter(execution_id=execution_id).open().defer("form", "data", "answer").order_by("id")
    for wait in waits[:WAITS_SHOWN]:
        place = f"{titles.get(wait.node_key, wait.node_key)} {wait.shown_path}".strip()
        yield f"{place} {show_wait(WaitKind(wait.kind), title=wait.title, event=wait.event, due_at=wait.due_at)}"


def _counts(execution_id: UUID) -> Iterable[Any]:
    return (
        NodeExecution.objects.filter(execution_id=execution_id)
        .values("node_key", "status")
        .annotate(
            count=Count("*"),
            first_start=Min("started_at"),
            last_end=Max("ended_at"),
            input_tokens=Sum(_tokens("input_tokens")),
            output_tokens=Sum(_tokens("output_tokens")),
            cost=Sum("cost_microcredits"),
        )
    )


def _tokens(name: str) -> Cast:
    return Cast(KeyTextTransform(name, "usage"), BigIntegerField())


def _progress(key: str, title: str, rows: list[dict[str, Any]], *, at: datetime) -> NodeProgress:
    counts = {NodeStatus(row["status"]): row["count"] for row in rows}
    starts = [row["first_start"] for row in rows if row["first_start"]]
    ends = [row["last_end"] for row in rows if row["last_end"]] if counts.keys() <= NODE_FINAL else []
    return NodeProgress(
        key=key,
        title=title,
        counts=counts,
        duration=elapsed(min(starts, default=None), max(ends, default=None), at=at),
        input_tokens=sum(row["input_tokens"] or 0 for row in rows),
        output_tokens=sum(row["output_tokens"] or 0 for row in rows),
        cost_microcredits=sum(row["cost"] for row in rows),
    )


def _titles(version_id: UUID) -> dict[str, str]:
    """Return the title of each node by its key, in the order of the plan."""
    titles = dict(Node.objects.filter(version_id=version_id).values_list("key", "title"))
    return {node.key: titles.get(node.key) or node.key for node in plan_of(version_id).nodes}
