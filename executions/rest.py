"""Say of an execution that it waits, once nothing of it can go on by itself."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from executions.engine.compile import runnable
from executions.engine.progress import Progress
from executions.engine.status import NodeStatus, Status
from executions.known import ended_segments, known_outcomes
from executions.models import Execution, NodeExecution
from executions.plans import plan_of

#: A shorter pause is none worth speaking of.
SOON = timedelta(seconds=5)


def rest_if_idle(execution_id: UUID) -> bool:
    """Move an execution to WAITING if every firing that is ready waits for something. Return whether it does.

    What is merely in line, or due at once, keeps it RUNNING: then reconcile sees to it, should its message be lost.
    """
    with transaction.atomic(durable=True):
        running = Execution.objects.select_for_update(no_key=True).filter(pk=execution_id, status=Status.RUNNING)
        execution = running.only(
            "version_id", "segments_done", "plan_mark", "is_paused", "is_stopping", "retried_from_id"
        ).first()
        if execution is None or execution.is_paused or execution.is_stopping:
            return False
        firings = NodeExecution.objects.filter(execution_id=execution_id)
        if firings.filter(status=NodeStatus.RUNNING, lease_expires_at__gte=Now()).exists():
            return False
        soon = Now() + SOON
        suspended = firings.filter(Q(status=NodeStatus.WAITING) | Q(status=NodeStatus.PENDING, due_at__gt=soon))
        waiting = {(key, tuple(path)) for key, path in suspended.values_list("node_key", "item_path")}
        if not waiting or not _ready(execution) <= waiting:
            return False
        return bool(Execution.objects.filter(pk=execution_id).move(Status.WAITING))


def _ready(execution: Execution) -> set[tuple[str, tuple[int, ...]]]:
    """Return the firings that nothing is missing for but a worker, or what they wait for."""
    plan = plan_of(execution.version_id)
    has_origins = execution.retried_from_id is not None
    done = ended_segments(
        execution.pk, plan, execution.segments_done, mark=execution.plan_mark, has_origins=has_origins
    )
    segments = runnable(plan, done)
    known = known_outcomes(execution.pk, plan, segments, has_origins=has_origins)
    progress = Progress(plan, segments, done=done, known=known)
    return {(plan.nodes[firing.node].key, firing.path) for firing in progress.take_ready()}
