"""Write what a worker has found out about an execution: once, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from pydantic_core import to_json

from agentplatform.lib.ids import uuid7
from executions import statements
from executions.engine.items import Outcome, Path
from executions.engine.plan import Plan
from executions.engine.progress import Closed
from executions.engine.status import NODE_FINAL, NodeStatus, Status
from executions.errors import LeaseLost, NotRunning
from executions.leases import Claim
from executions.models import Execution, NodeExecution


@dataclass(slots=True)
class Ended:
    """How one firing ended, with all that is stored of it."""

    node: int
    node_key: str
    path: Path
    outcome: Outcome
    claim: Claim | None
    inputs: dict[str, Any]
    error: dict[str, str]
    usage: dict[str, int | float | str]
    cost_microcredits: int
    queued_at: datetime
    started_at: datetime
    ended_at: datetime
    #: It failed and nothing in the graph deals with that.
    is_fatal: bool = False


@dataclass(slots=True)
class Batch:
    """What one transaction writes for one execution."""

    execution_id: UUID
    plan: Plan
    worker: str
    ended: list[Ended] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    #: Segments that are complete with this batch.
    segments: list[int] = field(default_factory=list)
    #: Segments that were complete before the worker began: it need not ask again.
    done_before: frozenset[int] = frozenset()
    #: How the output nodes ended that the worker knows of, by node index.
    known_outputs: dict[int, dict[Path, Outcome]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settled:
    """Where the execution stands after a settle."""

    done: frozenset[int]
    is_stopping: bool = False
    is_final: bool = False


def settle(batch: Batch) -> Settled:
    """Write a batch in one transaction, guarded by the fence of every claim in it.

    Raises:
        LeaseLost: a claim is not ours any more; nothing was written.
        NotRunning: the execution has been stopped or has ended; nothing was written.
    """
    try:
        with transaction.atomic(durable=True), statements.cursor() as cursor:
            _write_claimed(cursor, batch)
            _write_unclaimed(cursor, batch)
            return _advance(cursor, batch)
    except IntegrityError as error:
        raise LeaseLost from error
    except LeaseLost:
        if (before := _settled_before(batch)) is not None:
            return before
        raise


def outputs_of(plan: Plan, ended: dict[int, dict[Path, Outcome]]) -> dict[str, Any]:
    """Return the execution's outputs by name: a value where the node fired plainly, else the list by path."""
    outputs: dict[str, Any] = {}
    for node in plan.outputs:
        values = {
            path: outcome.outputs["output"][-1]
            for path, outcome in ended.get(node.index, {}).items()
            if outcome.status is NodeStatus.SUCCEEDED and outcome.outputs.get("output")
        }
        if values:
            name = str(node.constants.get("name", "output"))
            outputs[name] = values[()] if set(values) == {()} else [values[path] for path in sorted(values)]
    return outputs


def _write_claimed(cursor: statements.Cursor, batch: Batch) -> None:
    claimed = [ended for ended in batch.ended if ended.claim]
    if claimed:
        rows = statements.records([_record(ended) for ended in claimed])
        statements.run(cursor, "settle", execution_id=batch.execution_id, ended=rows)
        if cursor.rowcount != len(claimed):
            raise LeaseLost


def _write_unclaimed(cursor: statements.Cursor, batch: Batch) -> None:
    ran = [_record(ended) for ended in batch.ended if not ended.claim]
    if ran:
        rows = statements.records(ran)
        statements.run(cursor, "record", execution_id=batch.execution_id, worker=batch.worker, rows=rows)
    if batch.closed:
        rows = statements.records([_closed_record(batch.plan, closed) for closed in batch.closed])
        statements.run(cursor, "close", execution_id=batch.execution_id, rows=rows)


def _advance(cursor: statements.Cursor, batch: Batch) -> Settled:
    """Note what is complete, and end the execution if that was the last."""
    done = batch.done_before.union(batch.segments)
    failed = next((ended for ended in batch.ended if ended.is_fatal), None)
    if len(done) == len(batch.plan.segments) and failed is None:
        return _finish(cursor, batch, Status.SUCCEEDED, segments=batch.segments)
    if not batch.segments and failed is None:
        return Settled(done=batch.done_before)
    done, is_stopping = _note(cursor, batch, failed)
    if is_stopping:
        return _stop_if_idle(cursor, batch, done)
    if len(done) == len(batch.plan.segments):
        return _finish(cursor, batch, Status.SUCCEEDED)
    return Settled(done=done)


def stop_if_idle(batch: Batch) -> Settled:
    """End a stopping execution once nothing of it runs any more."""
    with transaction.atomic(durable=True), statements.cursor() as cursor:
        running = Execution.objects.select_for_update(no_key=True).filter(pk=batch.execution_id, status=Status.RUNNING)
        row = running.values_list("segments_done", "is_stopping").first()
        if row is None:
            raise NotRunning
        done, is_stopping = frozenset(row[0]), row[1]
        return _stop_if_idle(cursor, batch, done) if is_stopping else Settled(done=done)


def _note(cursor: statements.Cursor, batch: Batch, failed: Ended | None) -> tuple[frozenset[int], bool]:
    error = failed.error if failed else {}
    statements.run(
        cursor,
        "advance",
        execution_id=batch.execution_id,
        segments=batch.segments,
        is_failing=failed is not None,
        error_code=error.get("code", ""),
        error_message=error.get("message", ""),
        error_hint=error.get("hint", ""),
        error_node=failed.node_key if failed else "",
    )
    row = cursor.fetchone()
    if row is None:
        raise NotRunning
    return frozenset(row[0]), row[1]


def _stop_if_idle(cursor: statements.Cursor, batch: Batch, done: frozenset[int]) -> Settled:
    # Asked after the execution's lock is ours, in a statement of its own: so it sees what others settled meanwhile.
    runs = NodeExecution.objects.filter(execution_id=batch.execution_id, status=NodeStatus.RUNNING)
    if runs.exists():
        return Settled(done=done, is_stopping=True)
    return _finish(cursor, batch, Status.FAILED)


def _finish(cursor: statements.Cursor, batch: Batch, status: Status, *, segments: Sequence[int] = ()) -> Settled:
    outputs = outputs_of(batch.plan, _all_outputs(batch))
    statements.run(
        cursor,
        "finish",
        execution_id=batch.execution_id,
        status=status.value,
        outputs=to_json(outputs).decode(),
        segments=list(segments),
    )
    if cursor.fetchone() is None:
        raise NotRunning
    return Settled(done=batch.done_before.union(batch.segments), is_final=True)


def _all_outputs(batch: Batch) -> dict[int, dict[Path, Outcome]]:
    """Return how the output nodes ended: what the worker knows, and the rest from the rows."""
    unknown = [node for node in batch.plan.outputs if node.index not in batch.known_outputs]
    ended = dict(batch.known_outputs)
    if unknown:
        rows = NodeExecution.objects.filter(
            execution_id=batch.execution_id, node_key__in=[node.key for node in unknown]
        ).values_list("node_key", "item_path", "status", "outputs")
        for key, path, status, outputs in rows:
            ended.setdefault(batch.plan.index_of[key], {})[tuple(path)] = Outcome(NodeStatus(status), outputs)
    return ended


def _settled_before(batch: Batch) -> Settled | None:
    """Look whether this batch is there already, from a commit whose answer was lost. A final row with our fence is our own."""
    claims = [ended.claim for ended in batch.ended if ended.claim]
    if not claims:
        return None
    rows = NodeExecution.objects.filter(execution_id=batch.execution_id, node_key__in={c.node_key for c in claims})
    found = {
        (key, tuple(path)): (fence, status)
        for key, path, fence, status in rows.values_list("node_key", "item_path", "fence", "status")
    }
    for claim in claims:
        fence, status = found.get((claim.node_key, claim.path), (0, NodeStatus.RUNNING))
        if fence != claim.fence or NodeStatus(status) not in NODE_FINAL:
            return None
    execution = Execution.objects.only("segments_done", "is_stopping", "status").get(pk=batch.execution_id)
    return Settled(frozenset(execution.segments_done), execution.is_stopping, execution.is_final)


def _record(ended: Ended) -> dict[str, Any]:
    error = ended.error
    record = {
        "node_key": ended.node_key,
        "item_path": ended.path,
        "status": ended.outcome.status,
        "outputs": ended.outcome.outputs,
        "error_code": error.get("code", ""),
        "error_message": error.get("message", ""),
        "error_hint": error.get("hint", ""),
        "usage": ended.usage,
        "cost_microcredits": ended.cost_microcredits,
        "queued_at": ended.queued_at,
        "started_at": ended.started_at,
        "ended_at": ended.ended_at,
    }
    if ended.claim:
        return record | {"fence": ended.claim.fence}
    return record | {"id": str(uuid7()), "inputs": ended.inputs, "missing_pins": []}


def _closed_record(plan: Plan, closed: Closed) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "node_key": plan.nodes[closed.node].key,
        "item_path": closed.path,
        "status": closed.status,
        "missing_pins": closed.missing,
    }
