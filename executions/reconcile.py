"""What beat does every few seconds: find what is stuck, launch it again."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from kombu.exceptions import OperationalError as BrokerUnreachable

from agentplatform.lib import once
from agentplatform.lib.clock import now
from agentplatform.lib.partitions import ensure_months
from executions import admission, endings, failpoints, file_uses, launch, pruning, statements, stopping, waits
from executions.engine.segments import CPU_QUEUE, DEFAULT_QUEUE
from executions.errors import DurationExceeded
from executions.models import Execution, LiveEvent, NodeExecution, StartKey
from executions.worker import patiently
from files import storing as files
from files.models import FileKey

logger = logging.getLogger(__name__)

AT_ONCE = 200
MONTHS_AHEAD = 3
#: While messages wait at the broker, each further sending of the same execution waits so many times longer.
PATIENCE_IN_LINE = 4.0
UPKEEP_EVERY_S = 3600.0


def keep_going(stop: threading.Event) -> None:
    """Reconcile every few seconds, and each hour see to the coming months and to what is not kept any longer, until `stop`.

    In beat's own process, as a message would wait for a worker: and those whose threads all wait are just the ones that need help.
    """
    upkeep_due_at = 0.0
    while not stop.wait(settings.AGENTPLATFORM_RECONCILE_S):
        try:
            patiently(reconcile)
            if time.monotonic() >= upkeep_due_at:
                patiently(ensure_partitions)
                patiently(pruning.prune_deliveries)
                patiently(pruning.prune_outgoing)
                patiently(pruning.prune_fires)
                patiently(files.prune)
                patiently(pruning.prune_files)
                patiently(file_uses.forget_old)
                patiently(once.forget_old, StartKey)
                patiently(once.forget_old, FileKey)
                upkeep_due_at = time.monotonic() + UPKEEP_EVERY_S
        except Exception:
            # The next round may do better; without any, nothing lost would ever be found.
            logger.exception("Reconcile failed")
            connection.close()


def reconcile() -> int:
    """End what was told to stop or runs for too long, admit whom there is room for, launch again what nothing will carry on by itself.

    Return how many executions were sent.
    """
    endings.end_stopped()
    _stop_overdue()
    admitted = admission.admit()
    woken = _wake()
    due, stuck = _find_due(), _find_stuck()
    if stuck:
        logger.info("Launching %d executions again", len(stuck))
    if woken or due or stuck:
        failpoints.reach("before_reconcile_send")
        for execution_id, error in launch.launch([*woken, *due, *stuck]).items():
            # With all that it has begun, waits for and holds, which is more than a launch may touch.
            stopping.stop(Execution(pk=execution_id), error)
    return admitted + len(woken) + len(due) + len(stuck)


def ensure_partitions() -> list[str]:
    """Create the coming months' partitions. Return the names of the new ones."""
    created: list[str] = []
    with transaction.atomic(), connection.cursor() as cursor:
        for model, key in ((Execution, "id"), (NodeExecution, "execution_id"), (LiveEvent, "execution_id")):
            created += ensure_months(cursor, model._meta.db_table, key=key, start=now(), count=MONTHS_AHEAD)
    return created


def _stop_overdue() -> None:
    at_most = timedelta(seconds=settings.AGENTPLATFORM_MAX_DURATION_S)
    with statements.cursor() as cursor:
        statements.run(cursor, "overdue", at_most=at_most, limit=AT_ONCE)
        overdue = [execution_id for (execution_id,) in cursor]
    for execution_id in overdue:
        logger.warning("Stopping execution %s: it has run for more than %s", execution_id, at_most)
        stopping.stop(Execution(pk=execution_id), DurationExceeded(f"It has run for more than {at_most}."))


def _wake() -> list[UUID]:
    """Let go on what has waited for a time that is over, or for an execution that has ended."""
    return [*waits.time_out(), *waits.wake_forgotten_parents()]


def _find_due() -> list[UUID]:
    grace = timedelta(seconds=settings.AGENTPLATFORM_RECONCILE_S)
    with statements.cursor() as cursor:
        statements.run(cursor, "due", grace=grace, limit=AT_ONCE)
        return [execution_id for (execution_id,) in cursor]


def _find_stuck() -> list[UUID]:
    with statements.cursor() as cursor:
        statements.run(
            cursor,
            "stuck",
            grace=timedelta(seconds=settings.AGENTPLATFORM_RECONCILE_S),
            patience=PATIENCE_IN_LINE if _messages_wait() else 1.0,
            limit=AT_ONCE,
        )
        return [execution_id for (execution_id,) in cursor]


def _messages_wait() -> bool:
    """Say whether work still stands in line at the broker. One that can not be asked has lost nothing yet."""
    try:
        with current_app.connection_for_read() as broker, broker.channel() as channel:
            return any(_length(channel, queue) for queue in (DEFAULT_QUEUE, CPU_QUEUE))
    except (BrokerUnreachable, OSError):
        return True


def _length(channel: Any, queue: str) -> int:
    # Declared as the workers do: asking passively for a queue that nobody has used yet is an error on some brokers.
    declared: Any = current_app.amqp.queues[queue].bind(channel).queue_declare()
    return int(declared.message_count)
