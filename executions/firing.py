"""Run one block once: values in, outcome out. Whatever goes wrong in it becomes part of the outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from math import ceil
from threading import current_thread, main_thread
from time import perf_counter
from typing import Any
from uuid import UUID

from django.conf import settings
from pydantic_core import to_json

from agentplatform.lib.clock import now
from agentplatform.lib.errors import AppError
from blocks import registry
from blocks.jsonable import clean_text
from blocks.sdk import Block, BlockError, BlockType, Effects, Placement, Usage
from executions.batch import Ended
from executions.context import FiringContext
from executions.engine.items import ERROR_PIN, Outcome
from executions.engine.plan import PlanNode
from executions.engine.pricing import cost_of
from executions.engine.progress import Firing
from executions.engine.status import NodeStatus
from executions.leases import Claim
from graphs.pins import assemble

logger = logging.getLogger(__name__)

#: A firing that was begun so often without an end kills its worker; it is not begun again.
MAX_ATTEMPTS = 3
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


async def fire(
    execution_id: UUID,
    node: PlanNode,
    firing: Firing,
    values: dict[str, Any] | AppError,
    claim: Claim | None,
    queued_at: datetime,
) -> Ended:
    """Run the block of a node for one firing and return how it ended. Never raises, except to be cancelled."""
    path = ",".join(map(str, firing.path))
    context = FiringContext(idempotency_key=f"{execution_id}:{node.key}:{path}")
    started_at, begun = now(), perf_counter()
    outputs: dict[str, list[Any]] = {}
    error: dict[str, str] = {}
    cost = 0
    try:
        if isinstance(values, AppError):
            raise values
        _refuse_repetition(node, claim)
        block = registry.runnable(node.block_id)
        await _collect(block, block(context), values, outputs)
        context.usage.seconds = perf_counter() - begun if _has_price_per_second(block) else 0.0
        _refuse_uncountable(context.usage)
        cost = cost_of(context.usage, block.cost_config)
    except AppError as failure:
        error = failure.as_dict()
    except TimeoutError:
        error = BlockError(f"{node.key} took longer than it may.", code="TIMEOUT", hint="Raise its limit.").as_dict()
    except BaseException as crash:
        # A block that exits, or lets the end of a task of its own escape, must neither end the worker nor be waited for for ever.
        if _is_asked_to_stop(crash):
            raise
        logger.exception("Block %s crashed in node %s of execution %s", node.block_id, node.key, execution_id)
        error = BlockError(
            f"{type(crash).__name__}: {crash}", code="BLOCK_CRASHED", hint="This is a fault in the block."
        ).as_dict()
    if error:
        error = _storable(error)
        outputs = {ERROR_PIN: [{key: error[key] for key in ("code", "message", "hint")}]} if node.handles_errors else {}
    return Ended(
        node=node.index,
        node_key=node.key,
        path=firing.path,
        outcome=Outcome(NodeStatus.FAILED if error else NodeStatus.SUCCEEDED, outputs),
        claim=claim,
        inputs=values if isinstance(values, dict) else {},
        error=error,
        usage=_counted(context.usage),
        cost_microcredits=cost,
        queued_at=queued_at,
        started_at=started_at,
        # Measured, not read off the clock: a clock that is set back must not make a firing end before it began.
        ended_at=started_at + timedelta(seconds=perf_counter() - begun),
        is_fatal=bool(error) and not node.handles_errors and node.on_error == "fail",
    )


def fire_now(
    execution_id: UUID,
    node: PlanNode,
    firing: Firing,
    values: dict[str, Any] | AppError,
    claim: Claim | None,
    queued_at: datetime,
) -> Ended:
    """Run a block that only computes on this thread, without the event loop. Never raises."""
    coroutine = fire(execution_id, node, firing, values, claim, queued_at)
    try:
        awaited = coroutine.send(None)
        while True:
            # Nothing may be awaited here but an empty pause: there is no loop that would ever resume it.
            awaited = coroutine.send(None) if awaited is None else coroutine.throw(_waits(node))
    except StopIteration as stop:
        ended: Ended = stop.value
        return ended


def _waits(node: PlanNode) -> BlockError:
    return BlockError(
        f"The block {node.block_id} waits, but says that it only computes.",
        code="INLINE_BLOCK_WAITS",
        hint="Declare placement = Placement.IO.",
    )


async def _collect(block: type[Block], instance: Block, values: dict[str, Any], outputs: dict[str, list[Any]]) -> None:
    """Run the block to its end and keep what it yields, each value checked."""
    given = registry.validate_input(block, values)
    if block.placement is Placement.INLINE:
        await _drain(block, instance, given, outputs)
        return
    async with asyncio.timeout(block.timeout_s or settings.AGENTPLATFORM_BLOCK_TIMEOUT_S):
        await _drain(block, instance, given, outputs)


async def _drain(block: type[Block], instance: Block, given: Any, outputs: dict[str, list[Any]]) -> None:
    async with aclosing(instance.execute(given)) as pairs:  # type: ignore[type-var]
        async for pin, value in pairs:
            if pin == ERROR_PIN:
                raise BlockError(str(value))
            checked = registry.validate_output(block, pin, value)
            _refuse_too_large(pin, checked)
            outputs.setdefault(pin, []).append(checked)


def _refuse_too_large(pin: str, value: Any) -> None:
    limit = settings.AGENTPLATFORM_MAX_OUTPUT_BYTES
    if isinstance(value, str):
        size = len(value)
    elif isinstance(value, list | dict) and value:
        size = len(to_json(value))
    else:
        return
    if size > limit:
        raise BlockError(
            f"The value on {pin!r} has {size:,} bytes; {limit:,} are allowed.",
            code="OUTPUT_TOO_LARGE",
            hint="Split it into items, or raise AGENTPLATFORM_MAX_OUTPUT_BYTES.",
        )


def _refuse_repetition(node: PlanNode, claim: Claim | None) -> None:
    """Stop what must not be begun again after its worker died."""
    if claim is None or claim.attempt == 1:
        return
    if node.block.effects is Effects.AT_MOST_ONCE:
        raise BlockError(
            f"{node.key} was interrupted and must not be repeated by itself.",
            code="INTERRUPTED",
            hint="Look whether its effect happened, then start again or take its result by hand.",
        )
    if claim.attempt > MAX_ATTEMPTS:
        raise BlockError(
            f"{node.key} ended {MAX_ATTEMPTS} workers before it ended itself.",
            code="POISON",
            hint="Look at the workers' logs: it may need too much memory, or crash the interpreter.",
        )


def _has_price_per_second(block: type[Block]) -> bool:
    return block.cost_config is not None and block.cost_config.cost_type == "second"


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
    return isinstance(amount, str) or amount <= MAX_AMOUNT


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
