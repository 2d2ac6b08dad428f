"""Write what a worker has found out about executions: once, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from agentplatform.lib.errors import AppError
from executions import charging, failpoints, statements, stopped
from executions.batch import Batch, Settled, outputs_of
from executions.charging import Amount
from executions.engine.items import Outcome, Path
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitStatus
from executions.errors import LeaseLost, NotRunning
from executions.models import Execution, NodeExecution, Wait

#: Executions of which something may still be written.
GOING = (Status.RUNNING, Status.WAITING, Status.CANCELLING)


def settle(batches: Sequence[Batch]) -> list[Settled | Exception]:
    """Write batches, each guarded by the fence of every claim in it: all in one transaction, or each in its own if one is refused.

    Return, for each, where its execution stands, or why nothing of it was written: `LeaseLost` where a claim is not ours any more,
    `NotRunning` where the execution has been stopped or has ended, the database's own error where it can not store something.

    Raises:
        OperationalError, InterfaceError: the database is away or asks to try again; all of it may be settled again.
    """
    failpoints.reach("before_settle")
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
    """End an execution that is to stop, once nothing of it runs any more.

    Raises:
        NotRunning: it has ended.
    """
    with transaction.atomic(durable=True):
        state = _locked(batch)
        if state is None:
            raise NotRunning
        state = _stop_if_idle(batch, state) if state.is_stopping else state
        _move_money([], [state])
        return state


def fail(batch: Batch, error: AppError, node_key: str) -> Settled:
    """Begin nothing more of an execution, for a reason of the platform: what runs goes on and is kept; with the last of it, it ends.

    Raises:
        NotRunning: it has ended, or was cancelled.
    """
    with transaction.atomic(durable=True):
        state = _stop_if_idle(batch, _note(batch, error.as_dict(), node_key))
        _move_money([], [state])
        return state


def _alone(batch: Batch) -> Settled | Exception:
    try:
        try:
            (settled,) = _write([batch])
        except NotRunning:
            settled = _write_stopping(batch)
    except (IntegrityError, LeaseLost):
        return _settled_before(batch) or LeaseLost()
    except (OperationalError, InterfaceError):
        raise
    except (DatabaseError, NotRunning) as reason:
        return reason
    return settled


def _write_stopping(batch: Batch) -> Settled:
    """Write a batch of an execution that is to stop, which its worker did not know of."""
    with transaction.atomic(durable=True):
        state = _locked(batch)
        if state is None:
            raise NotRunning
        if state.is_cancelling:
            cancelled = batch.cancelled()
            _write_cancelled(cancelled)
            state = _stop_if_idle(batch, state)
            _move_money([cancelled], [state])
            return state
    # It is failing: then what has ended is kept all the same.
    (settled,) = _write([batch], knows_end=False)
    return settled


def _write_cancelled(batch: Batch) -> None:
    """Keep what the firings of a cancelled execution have used; its lock is ours already."""
    records = [one.as_record(str(batch.execution_id)) for one in batch.ended]
    with statements.together() as send:
        settled = [send("settle", ended=portion) for portion in statements.portions(records)]
    if sum(cursor.rowcount for cursor in settled) != len(records):
        raise LeaseLost


def _locked(batch: Batch) -> Settled | None:
    """Take the execution's lock and return where it stands, or None if it has ended."""
    going = Execution.objects.select_for_update(no_key=True).filter(pk=batch.execution_id, status__in=GOING)
    row = going.values_list("segments_done", "is_stopping", "is_paused", "status").first()
    if row is None:
        return None
    is_cancelling = row[3] == Status.CANCELLING
    return Settled(
        frozenset(row[0]), is_stopping=row[1] or is_cancelling, is_paused=row[2], is_cancelling=is_cancelling
    )


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
        # Whoever holds the locks of accounts asks for no others: money is moved last, in the same visit if no other follows.
        goes_on = any(one.advances and not is_last for one, is_last in zip(batches, last, strict=True))
        known = _write_rows(batches, ends, pays=not goes_on)
        # In one order for all, so that workers that settle the same executions at once do not wait for each other.
        order = sorted(range(len(batches)), key=lambda place: batches[place].execution_id)
        settled = {
            place: replace(known[batches[place].execution_id], done=done[place])
            if last[place]
            else _advance(batches[place], known)
            for place in order
        }
        if goes_on:
            _move_money(batches, settled.values())
        failpoints.reach("inside_settle")
        return [settled[place] for place in range(len(batches))]


def _move_money(batches: Iterable[Batch], settled: Iterable[Settled]) -> None:
    """Let what was written pay for itself, and give back what was set aside for executions that have ended."""
    charging.settle(_amounts(batches), ended=[one.execution_id for one in settled if one.may_hold and one.execution_id])


def _amounts(batches: Iterable[Batch]) -> list[Amount]:
    return [amount for batch in batches for amount in batch.amounts()]


def _write_rows(batches: Sequence[Batch], ends: list[dict[str, Any]], *, pays: bool) -> dict[UUID, Settled]:
    """Write firings, and the ends of executions, in one visit to the database. Return what it tells of where executions stand."""
    amounts = _amounts(batches) if pays else []
    ids = {batch.execution_id: str(batch.execution_id) for batch in batches}
    only_rows = [batch.execution_id for batch in batches if not batch.advances]
    written = [(one, one.as_record(ids[batch.execution_id])) for batch in batches for one in batch.ended]
    claimed = [record for one, record in written if one.claim]
    ran = [record for one, record in written if not one.claim]
    closed = [record for batch in batches for record in batch.closed_records()]
    waits = [one.as_wait_record(ids[batch.execution_id]) for batch in batches for one in batch.ended if one.wait]
    files = [file_id for batch in batches for one in batch.ended for file_id in one.kept_files]
    with statements.together() as send:
        stand = send("stand", ids=only_rows) if only_rows else None
        settled = [send("settle", ended=portion) for portion in statements.portions(claimed)]
        for portion in statements.portions(ran):
            send("record", worker=batches[0].worker, rows=portion)
        for portion in statements.portions(closed):
            send("close", rows=portion)
        for portion in statements.portions(waits):
            send("suspend", rows=portion)
        if files:
            send("keep_files", ids=files)
        finished = send("finish", finished=statements.records(ends)) if ends else None
        unpaid = charging.settle_held(send, amounts) if amounts else None
    if sum(cursor.rowcount for cursor in settled) != len(claimed):
        raise LeaseLost
    if (finished and finished.rowcount != len(ends)) or (stand and stand.rowcount != len(set(only_rows))):
        raise NotRunning
    if unpaid is not None:
        charging.settle_rest(amounts, unpaid)
    known = {row[0]: Settled(frozenset(), is_stopping=row[2], is_paused=row[3]) for row in stand or ()}
    return known | {row[0]: _ended(row) for row in finished or ()}


def _advance(batch: Batch, known: Mapping[UUID, Settled]) -> Settled:
    """Note what is complete, and end the execution if that was the last or it is stopping and nothing runs any more."""
    if not batch.advances:
        return replace(known[batch.execution_id], done=batch.done_before)
    failed = batch.failed
    state = _note(batch, failed.error if failed else {}, failed.node_key if failed else "")
    if state.is_stopping:
        return _stop_if_idle(batch, state)
    if len(state.done) == len(batch.plan.segments):
        return _finish(batch, Status.SUCCEEDED)
    return state


def _note(batch: Batch, error: Mapping[str, str], node_key: str) -> Settled:
    with statements.cursor() as cursor:
        statements.run(
            cursor,
            "advance",
            execution_id=batch.execution_id,
            segments=batch.segments,
            mark=batch.plan.mark,
            is_failing=bool(node_key),
            error_code=error.get("code", ""),
            error_message=error.get("message", ""),
            error_hint=error.get("hint", ""),
            error_node=node_key,
        )
        row = cursor.fetchone()
    if row is None:
        raise NotRunning
    # What was counted by another cut of the plan says nothing here; what this worker knows, it knows from the rows.
    done = batch.done_before.union(batch.segments) if row[0] is None else frozenset(row[0])
    return Settled(done, is_stopping=row[1], is_paused=row[2], has_waits=row[3])


def _stop_if_idle(batch: Batch, state: Settled) -> Settled:
    if state.is_cancelling:
        return next(iter(stopped.end_locked([batch.execution_id])), state)
    # Asked after the execution's lock is ours, in a statement of its own: so it sees what others settled meanwhile.
    firings = NodeExecution.objects.filter(execution_id=batch.execution_id)
    if firings.filter(status=NodeStatus.RUNNING, lease_expires_at__gte=Now()).exists():
        return state
    # Left behind by workers that are gone, or suspended: as nothing is claimed any more, nobody would ever end them.
    firings.move(NodeStatus.CANCELLED, ended_at=Now(), lease_expires_at=None, due_at=None)
    Wait.objects.filter(execution_id=batch.execution_id).close(WaitStatus.CANCELLED, answered_at=Now())
    return replace(_finish(batch, Status.FAILED), may_hold=True)


def _finish(batch: Batch, status: Status) -> Settled:
    with statements.cursor() as cursor:
        statements.run(cursor, "finish", finished=statements.records([_end(batch, status, ())]))
        row = cursor.fetchone()
    if row is None:
        raise NotRunning
    return replace(_ended(row), done=batch.done_before.union(batch.segments))


def _ended(row: tuple[Any, ...]) -> Settled:
    execution_id, parent_id, others_wait = row
    return Settled(frozenset(), is_final=True, execution_id=execution_id, parent_id=parent_id, others_wait=others_wait)


def _end(batch: Batch, status: Status, segments: Sequence[int]) -> dict[str, Any]:
    failpoints.reach("before_finish")
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
        firings = NodeExecution.objects.filter(
            execution_id=batch.execution_id, node_key__in=[node.key for node in unknown]
        )
        rows = firings.with_origins().values_list("node_key", "item_path", "status", "own_outputs")
        for key, path, status, outputs in rows:
            ended.setdefault(batch.plan.index_of[key], {})[tuple(path)] = Outcome(NodeStatus(status), outputs)
    return ended


def _settled_before(batch: Batch) -> Settled | None:
    """Look whether this batch is there already, from a commit whose answer was lost: only we could write a row with our fence."""
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
        if fence != claim.fence or status == NodeStatus.RUNNING:
            return None
    execution = Execution.objects.only("segments_done", "plan_mark", "is_stopping", "status").get(pk=batch.execution_id)
    # Numbers of another cut of the plan mean other segments.
    is_same_cut = execution.plan_mark in ("", batch.plan.mark)
    done = frozenset(execution.segments_done) if is_same_cut else batch.done_before.union(batch.segments)
    return Settled(done, is_stopping=execution.is_stopping, is_final=execution.is_final)
