"""Run one block once: values in, outcome out. Whatever goes wrong in it becomes part of the outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from math import ceil
from threading import current_thread, main_thread
from time import monotonic, perf_counter
from typing import Any

from django.conf import settings

from agentplatform.lib import egress
from agentplatform.lib.clock import now
from agentplatform.lib.errors import AppError
from blocks import registry
from blocks.jsonable import clean_text
from blocks.sdk import Block, BlockError, BlockType, Effects, Placement, Usage
from blocks.sdk.waiting import Suspended, WaitFor
from executions import failpoints, last_resort, quotes
from executions.batch import Ended
from executions.begun import Begun, Why
from executions.context import UNDER_WAY, FiringContext
from executions.decisions import DECISION_FORM, outputs_decided
from executions.engine.items import ERROR_PIN, Outcome
from executions.engine.plan import PlanNode
from executions.engine.progress import Firing
from executions.engine.status import NodeStatus
from executions.engine.waits import WaitKind
from executions.errors import BudgetExceeded, NeedsDecision
from executions.leases import MAX_CRASHES, MAX_LOSSES
from executions.limits import Yielded
from graphs.pins import assemble
from integrations.ratelimit import IN_LINE

logger = logging.getLogger(__name__)

#: How a firing ends that was interrupted, by why.
INTERRUPTED: Mapping[Why | None, NodeStatus] = {Why.CANCELLED: NodeStatus.CANCELLED, Why.LEAVING: NodeStatus.PENDING}
#: Of one reported usage: what any reader of JSON still counts exactly.
MAX_AMOUNT = 2**53
FRACTIONAL = frozenset({"usd", "seconds"})
#: Of what an error says, and of its code, which has a column of this width.
MAX_LENGTH, MAX_LENGTHS = 10_000, {"code": 64}


def values_of(node: PlanNode, firing: Firing, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the block is given: constants, then what arrived; an input node takes the execution's input.

    Raises:
        AppError: a part can not be put where its link points.
    """
    values = assemble(node.constants, list(firing.arrived.items()))
    if node.block.block_type is BlockType.INPUT:
        name = str(values.get("name"))
        values["value"] = inputs[name] if name in inputs else values.get("default")
    return values


async def fire(begun: Begun, *, attempt: int = 1) -> Ended:
    """Run the block of a node for one attempt of a firing and return how it ended. Never raises, except to be cancelled."""
    node = begun.node
    context = FiringContext(begun)
    started_at, start = now(), perf_counter()
    outputs: dict[str, list[Any]] = {}
    error: dict[str, str] = {}
    status, wait, retry_after_s = NodeStatus.SUCCEEDED, None, None
    block: type[Block] | None = None
    try:
        if isinstance(begun.values, AppError):
            raise begun.values
        if (decided := decided_outputs(begun)) is not None:
            outputs.update(decided)
        else:
            block = registry.runnable(node.block_id)
            if quotes.goes_by_tables(block.cost_config):
                await quotes.ready(block)
            begun.course.begin(context, attempt=attempt, limit_s=time_limit_s(node, block))
            if block.placement is Placement.CPU:
                last_resort.arm(begun.course.limit_s)
            UNDER_WAY.set(context)
            IN_LINE.set(context)
            failpoints.reach("before_effect")
            with egress.only(begun.allowed_hosts):
                await _collect(block, block(context), begun, outputs)
            failpoints.reach("after_effect")
    except AppError as failed:
        error, retry_after_s = failed.as_dict(), getattr(failed, "retry_after_s", None)
    except TimeoutError:
        error = _took_too_long(node)
    except Suspended as suspended:
        status, wait = NodeStatus.WAITING, suspended.wait
        error = NeedsDecision().as_dict() if wait.kind == WaitKind.DECISION else {}
    except BaseException as crash:
        # A block that exits, or lets the end of a task of its own escape, must neither end the worker nor be waited for.
        if _is_asked_to_stop(crash):
            if not may_be_interrupted(begun):
                context.let_go()
                raise
            status = INTERRUPTED[begun.stop.why]
        elif failure := _first_told(crash):
            error, retry_after_s = failure.as_dict(), getattr(failure, "retry_after_s", None)
        elif not context.suspended:
            logger.exception("Block %s crashed in node %s of execution %s", node.block_id, node.key, begun.execution_id)
            error = BlockError(
                f"{type(crash).__name__}: {crash}",
                code="BLOCK_CRASHED",
                hint="This is a fault in the block; the log of the worker has its traceback.",
            ).as_dict()
    if context.suspended and (status is NodeStatus.SUCCEEDED or error):
        # Also where the block takes the suspension of one of its tasks for a result or a failure.
        status, wait, error = NodeStatus.WAITING, context.suspended, {}
    seconds = perf_counter() - start
    UNDER_WAY.set(None)
    IN_LINE.set(None)
    begun.course.is_closing = True
    await context.close(go_on=status in (NodeStatus.WAITING, NodeStatus.PENDING))
    begun.course.end()
    return _ended(
        begun,
        context,
        block,
        status=status,
        error=error,
        outputs=outputs,
        started_at=started_at,
        seconds=seconds,
        attempt=attempt,
        retry_after_s=retry_after_s,
        wait=wait,
    )


def end_short(begun: Begun, context: FiringContext | None) -> Ended:
    """Return how a firing ends that nobody waits for any longer; with what its attempt under way has used, if there is one."""
    course = begun.course
    status = INTERRUPTED.get(begun.stop.why, NodeStatus.FAILED)
    return _ended(
        begun,
        context or FiringContext(begun),
        registry.runnable(begun.node.block_id) if context else None,
        status=status,
        error=_took_too_long(begun.node) if status is NodeStatus.FAILED else {},
        outputs={},
        started_at=course.began_at,
        seconds=monotonic() - course.began if context else 0.0,
        attempt=course.attempt if context else (begun.claim.attempt if begun.claim else 1),
    )


def may_be_interrupted(begun: Begun) -> bool:
    """Say whether a firing that is told to stop is settled here: what has begun and must not begin twice is a person's to decide."""
    if begun.stop.why is Why.LEAVING and begun.course.context:
        return begun.node.block.effects is not Effects.AT_MOST_ONCE
    return begun.stop.why in INTERRUPTED


def _ended(
    begun: Begun,
    context: FiringContext,
    block: type[Block] | None,
    *,
    status: NodeStatus,
    error: dict[str, str],
    outputs: dict[str, list[Any]],
    started_at: datetime,
    seconds: float,
    attempt: int,
    retry_after_s: float | None = None,
    wait: WaitFor | None = None,
) -> Ended:
    """Return all that is stored of an attempt: priced, and with its error where the graph deals with it."""
    node = begun.node
    cost = 0
    try:
        cost = _priced(context, block, began_at=started_at, seconds=seconds, is_suspended=status is NodeStatus.WAITING)
    except AppError as failure:
        error, status = error or failure.as_dict(), NodeStatus.FAILED
    if error and status is not NodeStatus.WAITING:
        status = NodeStatus.FAILED
    # Before anything is cut, or leaves this function: what is stored, goes on to other nodes, or is told has no secrets in it.
    mask = context.mask
    if error:
        error = _storable(mask.value(error))
    # No graph goes on beyond what it may cost, whatever it makes of the failures of what it calls.
    is_unpaid = error.get("code") == BudgetExceeded.code
    if status is not NodeStatus.SUCCEEDED:
        is_routed = status is NodeStatus.FAILED and node.handles_errors and not is_unpaid
        outputs = {ERROR_PIN: [{key: error[key] for key in ("code", "message", "hint")}]} if is_routed else {}
    elif not mask.is_empty:
        outputs = {pin: mask.stream(values) for pin, values in outputs.items()}
    ended = Ended(
        node=node.index,
        node_key=node.key,
        path=begun.firing.path,
        outcome=Outcome(status, outputs),
        claim=begun.claim,
        inputs=mask.value(begun.values) if isinstance(begun.values, dict) and begun.claim is None else {},
        error=error,
        usage=mask.value(_counted(context.usage)),
        cost_microcredits=cost,
        queued_at=begun.queued_at,
        started_at=started_at,
        # Measured, not read off the clock: a clock that is set back must not make a firing end before it began.
        ended_at=started_at + timedelta(seconds=seconds),
        attempt=attempt,
        children=context.children,
        files=tuple(context.files),
        is_fatal=status is NodeStatus.FAILED and (is_unpaid or (not node.handles_errors and node.on_error == "fail")),
        retry_after_s=retry_after_s,
        wait=wait if status is NodeStatus.WAITING else None,
        # Interrupted, it may be begun again at once.
        due_in_s=0.0 if status is NodeStatus.PENDING else None,
    )
    # An attempt that has begun may have had its effect: so it counts.
    return ended.postponed(0.0) if status is NodeStatus.PENDING and block is not None else ended


def _took_too_long(node: PlanNode) -> dict[str, str]:
    return BlockError(f"{node.key} took longer than it may.", code="TIMEOUT", hint="Raise its limit.").as_dict()


def fire_now(begun: Begun, *, attempt: int = 1) -> Ended:
    """Run a block that only computes on this thread, without the event loop. Never raises."""
    coroutine = fire(begun, attempt=attempt)
    try:
        awaited = coroutine.send(None)
        while True:
            # Nothing may be awaited here but an empty pause: there is no loop that would ever resume it.
            awaited = coroutine.send(None) if awaited is None else coroutine.throw(_waits(begun.node))
    except StopIteration as stop:
        ended: Ended = stop.value
        return ended


def decided_outputs(begun: Begun) -> dict[str, list[Any]] | None:
    """Return the outputs that a person gave instead of a repetition; None where the block is to be run.

    Raises:
        Suspended: a worker was lost with a firing that must not be repeated by itself, so a person has to decide.
        BlockError: the person decided that it failed, it has ended too many workers, or no worker can hold it.
    """
    claim = begun.claim
    if claim is None or not claim.crashes:
        return None
    if begun.node.block.effects is Effects.AT_MOST_ONCE:
        key = f"decision-{claim.crashes}"
        if key not in begun.answers:
            raise Suspended(WaitFor(WaitKind.DECISION, key, title=f"Did {begun.node.key} happen?", form=DECISION_FORM))
        return outputs_decided(begun.answers[key]["answer"])
    if claim.losses >= MAX_LOSSES:
        raise BlockError(
            f"{begun.node.key} ended {MAX_LOSSES} workers before it ended itself.",
            code="POISON",
            hint="Look at the workers' logs: it, or a node that only computes and runs in one go with it, may need too much memory, "
            "or crash the interpreter.",
        )
    if claim.crashes >= MAX_CRASHES:
        raise BlockError(
            f"{begun.node.key} was taken over from {MAX_CRASHES} workers, most of which live and could not renew its lease in time.",
            code="STARVED",
            hint="Give the workers more processor time or fewer threads, or raise AGENTPLATFORM_LEASE_S.",
        )
    return None


def _waits(node: PlanNode) -> BlockError:
    return BlockError(
        f"The block {node.block_id} waits, but says that it only computes.",
        code="INLINE_BLOCK_WAITS",
        hint="Declare placement = Placement.IO.",
    )


async def _collect(block: type[Block], instance: Block, begun: Begun, outputs: dict[str, list[Any]]) -> None:
    """Run the block to its end and keep what it yields, each value checked."""
    assert isinstance(begun.values, dict)
    given = registry.validate_input(block, begun.values)
    if block.placement is Placement.INLINE:
        await _drain(block, instance, given, outputs)
        return
    async with asyncio.timeout(time_limit_s(begun.node, block)):
        await _drain(block, instance, given, outputs)


def _first_told(crash: BaseException) -> AppError | None:
    """Return the first failure that tasks of a block have raised together."""
    if isinstance(crash, AppError):
        return crash
    told = crash.subgroup(AppError) if isinstance(crash, BaseExceptionGroup) else None
    return _first_told(told.exceptions[0]) if told else None


def time_limit_s(node: PlanNode, block: type[Block]) -> float:
    """Return how long one attempt of a node may take."""
    return node.timeout_s or block.timeout_s or settings.AGENTPLATFORM_BLOCK_TIMEOUT_S


async def _drain(block: type[Block], instance: Block, given: Any, outputs: dict[str, list[Any]]) -> None:
    yielded = Yielded(outputs)
    async with aclosing(instance.execute(given)) as pairs:  # type: ignore[type-var]
        async for pin, value in pairs:
            if pin == ERROR_PIN:
                raise BlockError(str(value))
            yielded.add(pin, registry.validate_output(block, pin, value))


def _priced(
    context: FiringContext, block: type[Block] | None, *, began_at: datetime, seconds: float, is_suspended: bool
) -> int:
    """Return what an attempt cost: also a failed one has used what it used.

    Raises:
        BlockError: the block reported what can not be counted, or what has no price.
    """
    if block is None:
        return 0
    usage = context.usage
    usage.seconds = seconds if _has_price_per(block, "second") else 0.0
    _refuse_uncountable(usage)
    if is_suspended and _has_price_per(block, "run"):
        # It runs from its beginning once more, and only then to its end.
        return 0
    return quotes.price_of(usage, block, at=began_at, is_own_key=context.is_own_key)


def _has_price_per(block: type[Block], unit: str) -> bool:
    return block.cost_config is not None and block.cost_config.cost_type == unit


def _is_asked_to_stop(ending: BaseException) -> bool:
    """Say whether it is the platform that ends this firing, and not its block."""
    if isinstance(ending, asyncio.CancelledError):
        task = _current_task()
        return task is not None and task.cancelling() > 0
    if isinstance(ending, SystemExit | KeyboardInterrupt):
        # Signals reach the main thread only.
        return current_thread() is main_thread()
    return isinstance(ending, GeneratorExit)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        # What only computes runs without an event loop.
        return None


def _refuse_uncountable(usage: Usage) -> None:
    for name, amount in usage.as_dict().items():
        if not _is_countable(amount):
            raise BlockError(
                f"The usage {name!r} can not be {amount}.", code="USAGE_INVALID", hint="This is a fault in the block."
            )


def _is_countable(amount: float | str) -> bool:
    # Written so that NaN is refused too.
    return isinstance(amount, str) or 0 <= amount <= MAX_AMOUNT


def _counted(usage: Usage) -> dict[str, int | float | str]:
    """Return the usage as its row keeps it: when the execution ends it is added up there, as whole numbers where things are counted."""
    kept: dict[str, int | float | str] = {}
    for name, amount in usage.as_dict().items():
        if isinstance(amount, str):
            kept[name] = clean_text(amount)
        elif _is_countable(amount):
            kept[name] = float(amount) if name in FRACTIONAL else ceil(amount)
    return kept


def _storable(error: dict[str, str]) -> dict[str, str]:
    """Return an error that fits its row, whatever it quotes and whatever its block made of it."""
    return {key: clean_text(str(text))[: MAX_LENGTHS.get(key, MAX_LENGTH)] for key, text in error.items()}
