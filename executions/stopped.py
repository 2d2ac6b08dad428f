"""End executions that were told to stop, once nothing of them runs any more."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import transaction

from executions import charging, statements
from executions.batch import Settled
from executions.engine.status import Status

#: So many are ended at once, and more with the next round.
AT_ONCE = 200


def end(execution_ids: Collection[UUID] | None = None) -> list[Settled]:
    """End what was told to stop and of which nothing runs any more, of these executions or of all. Return what was ended.

    Usually the last settle does that. This is for what no settle follows: its worker is gone, or only a sub-graph still ran.
    """
    with transaction.atomic(durable=True):
        ended = end_locked(execution_ids)
        charging.release([one.execution_id for one in ended if one.execution_id])
        return ended


def end_locked(execution_ids: Collection[UUID] | None) -> list[Settled]:
    """Do the same within a transaction: sub-graphs first, as their ends may be all that those above still wait for.

    What was set aside for them is the caller's to give back, as the last thing that it does.
    """
    ended: list[Settled] = []
    while found := _find(execution_ids):
        with statements.together() as send:
            send("cancel_rows", ids=[execution_id for execution_id, _ in found])
            rows = send("finish", finished=statements.records([_end(*one) for one in found]))
        ended += [
            Settled(
                frozenset(),
                is_final=True,
                is_cancelling=True,
                execution_id=execution_id,
                parent_id=parent_id,
                others_wait=others_wait,
                may_hold=True,
            )
            for execution_id, parent_id, others_wait in rows
        ]
    return ended


def cancel_rows(execution_ids: Collection[UUID]) -> None:
    """End the firings of executions that are to stop which nobody runs. Their locks are the caller's."""
    with statements.cursor() as cursor:
        statements.run(cursor, "cancel_rows", ids=list(execution_ids))


def _find(execution_ids: Collection[UUID] | None) -> list[tuple[UUID, str]]:
    ids = None if execution_ids is None else list(execution_ids)
    with statements.cursor() as cursor:
        statements.run(cursor, "stopped", ids=ids, limit=AT_ONCE)
        return [(execution_id, error_code) for execution_id, error_code in cursor]


def _end(execution_id: UUID, error_code: str) -> dict[str, object]:
    # By a person, or by the platform for a reason.
    status = Status.FAILED if error_code else Status.CANCELLED
    return {"execution_id": str(execution_id), "status": status, "outputs": {}, "segments": []}
