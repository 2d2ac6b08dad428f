"""What the end of executions sets free: those that started them, and those that wait in line."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from django.db import InterfaceError, OperationalError

from executions import admission, launch, stopped, waits
from executions.batch import Batch, Settled
from executions.engine.waits import WaitKind

logger = logging.getLogger(__name__)


def follow_up(settled: Iterable[Settled | Exception]) -> None:
    """Let go on what waited for these ends. What is missed here, reconcile finds."""
    ended = [one for one in settled if isinstance(one, Settled) and one.is_final]
    if any(one.others_wait for one in ended):
        admission.admit_soon()
    wake_parents([one.execution_id for one in ended if one.execution_id and one.parent_id])
    end_stopped({one.parent_id for one in ended if one.parent_id and one.is_cancelling})


def look_after_children(batches: Iterable[Batch]) -> None:
    """Let go on what was suspended for a sub-graph that has ended in the same moment, and did not find it suspended yet."""
    waited = [one.wait for batch in batches for one in batch.ended if one.wait]
    wake_parents([UUID(wait.child_id) for wait in waited if wait.kind == WaitKind.CHILD and wait.child_id])


def end_stopped(execution_ids: Collection[UUID] | None = None) -> None:
    """End what was told to stop, of these executions or of all, where no settle will: only a sub-graph still ran, or its worker is gone."""
    if execution_ids is None or execution_ids:
        try:
            follow_up(stopped.end(execution_ids))
        except (OperationalError, InterfaceError) as error:
            logger.warning("What was told to stop is left to reconcile: %s", error)


def wake_parents(child_ids: Sequence[UUID]) -> None:
    """Let the firings go on that wait for these sub-graphs, as far as they have ended."""
    if not child_ids:
        return
    try:
        launch.launch(waits.wake_parents(child_ids))
    except (OperationalError, InterfaceError) as error:
        logger.warning("The callers of %d sub-graphs are left to reconcile: %s", len(child_ids), error)
