"""Write what a worker has found out about executions: once, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from agentplatform.lib.clock import now
from executions import statements
from executions.batch import Batch, Ended, Settled, outputs_of
from executions.engine.items import Outcome, Path
from executions.engine.status import NODE_FINAL, NodeStatus, Status
from executions.errors import LeaseLost, NotRunning
from executions.models import Execution, NodeExecution


def settle(batches: Sequence[Batch]) -> list[Settled | Exception]:
    """Write batches, each guarded by the fence of every claim in it: all in one transaction, or each in its own if one is refused.

    Return, for each, where its execution stands, or why nothing of it was written: `LeaseLost` where a claim is not ours any more,
    `NotRunning` where the execution has been stopped or has ended, the database's own error where it can not store something.

    Raises:
        OperationalError, InterfaceError: the database is away or asks to try again; all of it may be settled again.
    """
    if len(batches) > 1:
        try:
            return list(_write(batches))
        except (OperationalError, InterfaceError):
            raise
        except (DatabaseError, LeaseLost, NotRunning):
            # One of them is refused: which one shows when each is alone.
            pass
    return [_alone(batch) for batch in batches]


def stop_if_idle(batch: Batch) -> Settled:
    """End a stopping execution once nothing of it runs any more.

    Raises:
        NotRunning: it has ended.
    """
    with transaction.atomic(durable=True):
        running = Execution.objects.select_for_update(no_key=True).filter(pk=batch.execution_id, status=Status.RUNNING)
        row = running.values_list("segments_done", "is_stopping").first()
        if row is None:
            raise NotRunning
        done, is_stopping = frozenset(row[0]), row[1]
        return _stop_if_idle(batch, done) if is_stopping else Settled(done=done)


def _alone(batch: Batch) -> Settled | Exception:
    try:
        try:
            (settled,) = _write([batch])
        except NotRunning:
            # It may be stopping, which this worker does not know yet: then what has ended is kept all the same.
            (settled,) = _write([batch], knows_end=False)
    except (IntegrityError, LeaseLost):
        return _settled_before(batch) or LeaseLost()
    except (OperationalError, InterfaceError):
        raise
    except (DatabaseError, NotRunning) as reason:
        return reason
    return settled


def _write(batches: Sequence[Batch], *, knows_end: bool = True) -> list[Settled]:
    with transaction.atomic(durable=True):
        done = [batch.done_before.union(batch.segments) for batch in batches]
        # What the worker knows to be all ends its execution with the same visit; the rest has to look at what others have done.
        last = [
            knows_end and one.failed is None and len(its) == len(one.plan.segments)
            for one, its in zip(batches, done, strict=True)
        ]
        ends = [
            _end(one, Status.SUCCEEDED, one.segments) for one, is_last in zip(batches, last, strict=True) if is_last
        ]
        _write_rows(batches, ends)
        # In one order for all, so that workers that settle the same executions at once do not wait for each other.
        order = sorted(range(len(batches)), key=lambda place: batches[place].execution_id)
        settled = {
            place: Settled(done=done[place], is_final=True) if last[place] else _advance(batches[place])
            for place in order
        }
        return [settled[place] for place in range(len(batches))]


def _write_rows(batches: Sequence[Batch], ends: list[dict[str, Any]]) -> None:
    """Write firings, and the ends of executions, in one visit to the database."""
    ids = {batch.execution_id: str(batch.execution_id) for batch in batches}
    written = [(one, one.as_record(ids[batch.execution_id])) for batch in batches for one in batch.ended]
    claimed = [record for one, record in written if one.claim]
    ran = [record for one, record in written if not one.claim]
    closed = [record for batch in batches for record in batch.closed_records()]
    with statements.together() as send:
        settled = [send("settle", ended=portion) for portion in statements.portions(claimed)]
        for portion in statements.portions(ran):
            send("record", worker=batches[0].worker, rows=portion)
        for portion in statements.portions(closed):
            send("close", rows=portion)
        finished = send("finish", finished=statements.records(ends)) if ends else None
    if sum(cursor.rowcount for cursor in settled) != len(claimed):
        raise LeaseLost
    if finished and finished.rowcount != len(ends):
        raise NotRunning


def _advance(batch: Batch) -> Settled:
    """Note what is complete, and end the execution if that was the last or it is stopping and nothing runs any more."""
    if not batch.segments and batch.failed is None:
        return Settled(done=batch.done_before)
    done, is_stopping = _note(batch, batch.failed)
    if is_stopping:
        return _stop_if_idle(batch, done)
    if len(done) == len(batch.plan.segments):
        return _finish(batch, Status.SUCCEEDED)
    return Settled(done=done)


def _note(batch: Batch, failed: Ended | None) -> tuple[frozenset[int], bool]:
    error = failed.error if failed else {}
    with statements.cursor() as cursor:
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


def _stop_if_idle(batch: Batch, done: frozenset[int]) -> Settled:
    # Asked after the execution's lock is ours, in a statement of its own: so it sees what others settled meanwhile.
    runs = NodeExecution.objects.filter(execution_id=batch.execution_id, status=NodeStatus.RUNNING)
    if runs.filter(lease_expires_at__gte=Now()).exists():
        return Settled(done=done, is_stopping=True)
    # Left behind by workers that are gone: as nothing is claimed any more, nobody would ever end them.
    runs.move(NodeStatus.CANCELLED, ended_at=now(), lease_expires_at=None)
    return _finish(batch, Status.FAILED)


def _finish(batch: Batch, status: Status) -> Settled:
    with statements.cursor() as cursor:
        statements.run(cursor, "finish", finished=statements.records([_end(batch, status, ())]))
        if cursor.rowcount != 1:
            raise NotRunning
    return Settled(done=batch.done_before.union(batch.segments), is_final=True)


def _end(batch: Batch, status: Status, segments: Sequence[int]) -> dict[str, Any]:
    return {
        "execution_id": str(batch.execution_id),
        "status": status,
        "outputs": outputs_of(batch.plan, _all_outputs(batch)),
        "segments": segments,
    }


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
