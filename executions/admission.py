"""Who may run now, and who waits in line: fairly between owners, by priority within one, never more than the limits.

An execution is in flight from its admission until it ends or waits. Sub-graphs are part of what started them, and what wakes up goes
on: neither stands in line.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from pydantic_core import to_json

from executions import launch, outbox, statements
from executions.engine.status import Status
from executions.errors import OwnerInactive
from executions.models import Execution

logger = logging.getLogger(__name__)

LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100
#: So many are admitted by one statement, and more by the next.
AT_ONCE = 500
#: So far below the limits an execution is admitted as it is written, without asking who else is just being written.
MARGIN = 16
#: Further back, nobody counts who is in front.
LONGEST_LINE = 10_000


def enter(execution: Execution, *, is_alone: bool = False) -> None:
    """Write a new execution. Where its owner is clearly below the limits it is sent at once, else it waits in line.

    Both only after the commit: also if that is the caller's transaction. There it waits in line, unless it `is_alone` in a transaction
    that ends at once.

    Raises:
        OwnerInactive: its owner may not log in.
    """
    with statements.cursor() as cursor:
        statements.run(
            cursor,
            "start",
            id=execution.pk,
            graph_id=execution.graph_id,
            version_id=execution.version_id,
            owner_id=execution.owner_id,
            priority=execution.priority,
            retried_from_id=execution.retried_from_id,
            inputs=to_json(execution.inputs).decode(),
            segments_done=execution.segments_done,
            plan_mark=execution.plan_mark,
            api_key=execution.api_key,
            is_alone=is_alone or not connection.in_atomic_block,
            per_owner=settings.AGENTPLATFORM_MAX_RUNNING_PER_OWNER,
            in_flight=settings.AGENTPLATFORM_MAX_IN_FLIGHT,
            margin=MARGIN,
        )
        row = cursor.fetchone()
    if row is None:
        raise OwnerInactive
    execution.created_at, execution.launched_at, execution.launches, may_be_next = row
    execution._state.adding, execution._state.db = False, connection.alias
    # The row is the real outbox: what is lost from here on, reconcile finds.
    if execution.launched_at:
        transaction.on_commit(partial(_send, execution), robust=True)
    elif may_be_next:
        # Otherwise those in front of it are admitted first, as others end.
        transaction.on_commit(admit_soon, robust=True)


def admit() -> int:
    """Admit everybody the limits leave room for, and send them. Return how many they were."""
    count = 0
    while admitted := _admit():
        launch.launch_all(admitted)
        count += len(admitted)
        if len(admitted) < AT_ONCE:
            break
    return count


def admit_soon() -> None:
    """Do that on another thread, once for all who ask for it meanwhile."""
    outbox.ask(_admit_or_leave)


def is_in_line(execution: Execution) -> bool:
    """Say whether it waits to be admitted."""
    return execution.status == Status.QUEUED and execution.launched_at is None and not execution.is_paused


def positions(executions: Iterable[Execution]) -> dict[UUID, int]:
    """Return where those of them that wait to be admitted stand in the line of their owner: the first is 1.

    One that waits for its graph's own limit may be overtaken by those behind. Far back, nobody counts.
    """
    in_line = [execution for execution in executions if is_in_line(execution)]
    return _positions(in_line) if in_line else {}


def position(execution: Execution) -> int | None:
    """Return where it stands in the line of its owner, or None if it does not wait to be admitted."""
    return positions([execution]).get(execution.pk)


def _send(execution: Execution) -> None:
    outbox.post((execution.pk, canvas) for canvas in launch.compile_rest(execution))


def _admit() -> list[Execution]:
    with transaction.atomic(durable=True), statements.together() as send:
        send("alone")
        admitted = send(
            "admit",
            per_owner=settings.AGENTPLATFORM_MAX_RUNNING_PER_OWNER,
            in_flight=settings.AGENTPLATFORM_MAX_IN_FLIGHT,
            at_once=AT_ONCE,
        )
    fields = ("id", "version_id", "segments_done", "plan_mark", "retried_from_id")
    in_turn = sorted(admitted, key=lambda row: row[0])
    return [Execution(**dict(zip(fields, row[1:], strict=True))) for row in in_turn]


def _admit_or_leave() -> None:
    try:
        admit()
    except (OperationalError, InterfaceError) as error:
        logger.warning("The database is away, so what stands in line waits for the next reconcile: %s", error)
        connection.close()


def _positions(in_line: Collection[Execution]) -> dict[UUID, int]:
    with statements.cursor() as cursor:
        statements.run(
            cursor,
            "position",
            ids=[execution.pk for execution in in_line],
            owner_ids=list({execution.owner_id for execution in in_line}),
            limit=LONGEST_LINE,
        )
        return dict(cursor.fetchall())
