"""Cancel, pause and resume executions, with all that they have started: written down first, told to the workers with the commit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from agentplatform.lib.errors import AppError
from executions import admission, again, charging, launch, statements, stopped
from executions.batch import Settled
from executions.endings import follow_up
from executions.engine.status import Status
from executions.engine.waits import WaitStatus
from executions.errors import AlreadyFinished
from executions.heartbeat import CHANNEL
from executions.models import Execution, ExecutionQuerySet, Wait

#: A notification holds less than 8,000 bytes.
IDS_IN_A_NOTIFICATION = 200


def cancel(execution: Execution) -> Execution:
    """Stop an execution and all that it has started, because somebody asks for it. One that has ended stays as it is.

    Return it as it stands: `CANCELLING` while something of it still runs; nothing but its end comes after that.
    """
    cancel_all([execution.pk])
    return Execution.objects.get(pk=execution.pk)


def stop(execution: Execution, error: AppError) -> Execution:
    """Stop an execution for a reason of the platform: the same, but it ends as `FAILED` with this error."""
    follow_up(again.if_locked(partial(_stop, [execution.pk], error)))
    return Execution.objects.get(pk=execution.pk)


def cancel_all(execution_ids: Collection[UUID]) -> None:
    """Cancel several executions, each with all that it has started."""
    if execution_ids:
        follow_up(again.if_locked(partial(_stop, execution_ids, None)))


def pause(execution: Execution) -> Execution:
    """Begin nothing more of an execution and all that it has started. What runs goes on to its end, and is kept.

    Raises:
        AlreadyFinished: it has ended, or is being cancelled.
    """
    again.if_locked(partial(_pause, execution.pk))
    return Execution.objects.get(pk=execution.pk)


def resume(execution: Execution) -> Execution:
    """Go on with a paused execution and all that it has started. What is not paused stays as it is.

    Raises:
        AlreadyFinished: it has ended, or is being cancelled.
    """
    again.if_locked(partial(_resume, execution.pk))
    return Execution.objects.get(pk=execution.pk)


def _stop(roots: Collection[UUID], error: AppError | None) -> list[Settled]:
    with transaction.atomic(durable=True):
        family = _locked_family(roots)
        if error:
            # The first error stands, as always.
            family.filter(pk__in=roots, error_code="").exclude(status=Status.CANCELLING).update(
                error_code=error.code, error_message=error.message, error_hint=error.hint
            )
        ended = _end_queued(family.filter(status=Status.QUEUED))
        going = list(family.filter(status__in=[Status.RUNNING, Status.WAITING]).values_list("pk", flat=True))
        family.filter(pk__in=going).move(Status.CANCELLING)
        Wait.objects.filter(execution_id__in=going).close(WaitStatus.CANCELLED, answered_at=Now())
        stopped.cancel_rows(going)
        _tell(going)
        last = stopped.end_locked(going)
        charging.release([one.execution_id for one in last if one.execution_id])
        return ended + last


def _end_queued(queued: ExecutionQuerySet) -> list[Settled]:
    """End executions of which nothing has begun."""
    ended = [
        Settled(frozenset(), is_final=True, execution_id=execution_id, parent_id=parent_id, others_wait=True)
        for execution_id, parent_id in queued.values_list("pk", "parent_id")
    ]
    queued.exclude(error_code="").move(Status.FAILED, ended_at=Now())
    queued.move(Status.CANCELLED, ended_at=Now())
    return ended


def _pause(root: UUID) -> None:
    with transaction.atomic(durable=True):
        family = _locked_family([root])
        _refuse_if_over(root)
        family.update(is_paused=True)


def _resume(root: UUID) -> None:
    with transaction.atomic(durable=True):
        paused = _locked_family([root]).filter(is_paused=True)
        _refuse_if_over(root)
        sent = list(paused.filter(launched_at__isnull=False).values_list("pk", flat=True))
        # A time limit does not count the pause.
        paused.filter(pk__in=sent, resumed_at__isnull=False).update(resumed_at=Now())
        # What stands in line is admitted when its turn comes.
        if paused.exclude(pk__in=sent).update(is_paused=False):
            transaction.on_commit(admission.admit_soon, robust=True)
        paused.filter(pk__in=sent).update(is_paused=False, launched_at=Now())
        transaction.on_commit(partial(launch.launch, sent), robust=True)


def _refuse_if_over(execution_id: UUID) -> None:
    status = Execution.objects.values_list("status", flat=True).get(pk=execution_id)
    if status == Status.CANCELLING:
        raise AlreadyFinished("The execution is being cancelled.")
    if Execution(status=status).is_final:
        raise AlreadyFinished(f"The execution has ended as {status}.")


def _locked_family(roots: Collection[UUID]) -> ExecutionQuerySet:
    """Lock what has not ended of executions and all that they have started, and return it.

    Whoever starts a sub-graph asks for a lock of the execution above it: so once that is ours, no further one can appear below.
    """
    locked: set[UUID] = set()
    while fresh := _family(roots) - locked:
        # In one order for all, so that two who lock the same do not wait for each other.
        unfinished = Execution.objects.filter(pk__in=fresh).unfinished().order_by("pk").select_for_update()
        list(unfinished.values_list("pk", flat=True))
        locked |= fresh
    return Execution.objects.filter(pk__in=locked).unfinished()


def _family(roots: Collection[UUID]) -> set[UUID]:
    with statements.cursor() as cursor:
        statements.run(cursor, "family", ids=list(roots))
        return {execution_id for (execution_id,) in cursor}


def _tell(cancelled: list[UUID]) -> None:
    """Let the workers know once this is committed. Those it does not reach learn it with the next renewal of their leases."""
    with connection.cursor() as cursor:
        for payload in _payloads(cancelled):
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, payload])


def _payloads(ids: list[UUID]) -> Iterator[str]:
    for start in range(0, len(ids), IDS_IN_A_NOTIFICATION):
        yield ",".join(map(str, ids[start : start + IDS_IN_A_NOTIFICATION]))
