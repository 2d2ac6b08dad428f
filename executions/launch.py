"""Look at what is resolved, compile the rest, send it: starting, retrying and recovering are this one call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from celery import chain, chord, current_app, signature
from celery.canvas import Signature
from celery.result import denied_join_result
from django.conf import settings
from kombu.exceptions import OperationalError as BrokerUnreachable

from blocks.errors import UnknownBlock
from executions import failpoints, messages
from executions.engine.compile import Canvas, Chain, Lane, Limits, remaining
from executions.engine.status import FINAL
from executions.known import ended_segments
from executions.messages import Work
from executions.models import Execution
from executions.plans import plan_of

logger = logging.getLogger(__name__)


def limits() -> Limits:
    """Return how wide work is spread here."""
    return Limits(lanes=settings.AGENTPLATFORM_LANES, chunk=settings.AGENTPLATFORM_CHUNK_ITEMS)


def launch(execution_ids: Sequence[UUID]) -> dict[UUID, UnknownBlock]:
    """Compile what is left of each execution and send it. Never raises for a broker that is away: reconcile sends again.

    Return those that can not go on, as a block of theirs is not installed here: reconcile, which finds them as well, ends them.
    """
    going = Execution.objects.filter(pk__in=execution_ids).exclude(status__in=FINAL)
    return launch_all(going.only("version_id", "segments_done", "plan_mark", "retried_from_id"))


def launch_all(executions: Iterable[Execution]) -> dict[UUID, UnknownBlock]:
    """Do the same for executions that were just read."""
    lanes: list[Work] = []
    lacking: dict[UUID, UnknownBlock] = {}
    for execution in executions:
        execution_id = execution.pk
        try:
            canvases = compile_rest(execution)
        except UnknownBlock as error:
            lacking[execution_id] = error
            continue
        except Exception:
            # One version that can not be planned must not keep all others from being sent.
            logger.exception("Execution %s can not be planned", execution_id)
            continue
        lanes.extend(Work(execution_id, canvas) for canvas in canvases if isinstance(canvas, Lane))
        send(execution_id, [canvas for canvas in canvases if not isinstance(canvas, Lane)])
    send_lanes(lanes)
    return lacking


def compile_rest(execution: Execution) -> list[Canvas]:
    """Return what of an execution can run now."""
    plan = plan_of(execution.version_id)
    has_origins = execution.retried_from_id is not None
    done = ended_segments(
        execution.pk, plan, execution.segments_done, mark=execution.plan_mark, has_origins=has_origins
    )
    return remaining(plan, done, limits())


def send(execution_id: UUID, canvases: Iterable[Canvas]) -> None:
    """Send what was compiled for one execution."""
    for canvas in canvases:
        if isinstance(canvas, Lane):
            send_lanes([Work(execution_id, canvas)])
        else:
            _publish(to_celery(execution_id, canvas).apply_async)


def send_lanes(work: Sequence[Work]) -> None:
    """Send lanes, those of one queue together in few messages."""
    for queue in sorted({one.lane.queue for one in work}):
        for together in messages.parcels([one for one in work if one.lane.queue == queue]):
            _publish(partial(_send_task, messages.write(together), queue))


def to_celery(execution_id: UUID, canvas: Canvas) -> Signature[Any]:
    """Return a compiled canvas as Celery's own."""
    if isinstance(canvas, Lane):
        return _signature(execution_id, canvas)
    if isinstance(canvas, Chain):
        return chain(*(_signature(execution_id, lane) for lane in canvas.lanes))
    header = [_signature(execution_id, lane, is_header=True) for lane in canvas.header]
    return chord(header, _signature(execution_id, canvas.body))


def _signature(execution_id: UUID, lane: Lane, *, is_header: bool = False) -> Signature[Any]:
    # A chord counts results, so its header must not ignore its (empty) ones.
    return signature(
        messages.TASK,
        kwargs=messages.write([Work(execution_id, lane)]),
        options={"queue": lane.queue, "ignore_result": not is_header, "argsrepr": "", "kwargsrepr": ""},
        immutable=True,
        app=current_app,
    )


def _send_task(message: dict[str, Any], queue: str) -> None:
    current_app.send_task(messages.TASK, kwargs=message, queue=queue, ignore_result=True, argsrepr="", kwargsrepr="")


def _publish(publish: Callable[[], object]) -> None:
    try:
        # Nobody here ever waits for a result, so none need be subscribed to.
        with denied_join_result():
            failpoints.reach("before_send")
            publish()
            failpoints.reach("after_send")
    # The result backend says by a RuntimeError that it can not be reached.
    except (BrokerUnreachable, OSError, RuntimeError) as error:
        # The rows are the outbox: reconcile sends again.
        logger.warning("The broker can not be reached, so work waits for the next reconcile: %s", error)
