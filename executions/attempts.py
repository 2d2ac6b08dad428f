"""Run a firing, and again as its retry policy says: soon under the same lease, or as a row that falls due: later, or after it has cost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace

from executions.batch import Amounts, Ended
from executions.begun import Begun
from executions.engine.items import Outcome
from executions.engine.retry import next_delay, policy_of
from executions.engine.status import NodeStatus
from executions.firing import end_short, fire, fire_now, may_be_interrupted

#: A longer pause is not slept under a lease.
LONGEST_SLEEP_S = 30.0


async def run(begun: Begun) -> Ended:
    """Run a firing until it has ended or waits for long. Never raises, except to be cancelled."""
    ended = await fire(begun, attempt=_first_attempt(begun))
    while (delay_s := _pause_after(begun, ended)) is not None and _may_go_on(ended, delay_s, longest_s=LONGEST_SLEEP_S):
        postponed = begun.course.before = ended.postponed(delay_s)
        try:
            if begun.stop.why:
                # Told so while it closed the attempt before.
                raise asyncio.CancelledError
            await asyncio.sleep(delay_s)
        except asyncio.CancelledError:
            if not may_be_interrupted(begun):
                raise
            return _interrupted_pause(begun, postponed)
        ended = _continued(postponed, await fire(begun, attempt=postponed.attempt))
    return _with_earlier(begun, ended if delay_s is None else ended.postponed(delay_s))


def run_now(begun: Begun) -> Ended:
    """Run a firing that only computes, on this thread; it is repeated here only if that needs no pause."""
    ended = fire_now(begun, attempt=_first_attempt(begun))
    while (delay_s := _pause_after(begun, ended)) is not None and _may_go_on(ended, delay_s, longest_s=0.0):
        postponed = begun.course.before = ended.postponed(0.0)
        ended = _continued(postponed, fire_now(begun, attempt=postponed.attempt))
    return _with_earlier(begun, ended if delay_s is None else ended.postponed(delay_s))


def cut_short(begun: Begun) -> Ended | None:
    """Return how a firing ends that nobody waits for any longer, or None if only a person can say.

    It goes on beyond its limit, was told to stop and does not, or was told so before it began.
    """
    if begun.stop.why and not may_be_interrupted(begun):
        return None
    context, before = begun.course.context, begun.course.before
    if before and not context:
        return _interrupted_pause(begun, before)
    ended = end_short(begun, context)
    if before:
        ended = _continued(before, ended)
    delay_s = _pause_after(begun, ended)
    return _with_earlier(begun, ended if delay_s is None else ended.postponed(delay_s))


def _interrupted_pause(begun: Begun, postponed: Ended) -> Ended:
    """Return how a firing ends that is told to stop between two attempts."""
    if begun.stop.is_cancelled:
        postponed = replace(postponed, outcome=Outcome(NodeStatus.CANCELLED), due_in_s=None)
    return _with_earlier(begun, postponed)


def _first_attempt(begun: Begun) -> int:
    return begun.claim.attempt if begun.claim else 1


def _pause_after(begun: Begun, ended: Ended) -> float | None:
    """Return how long to wait before the next attempt, or None if there is none."""
    policy = policy_of(begun.node)
    if ended.outcome.status is not NodeStatus.FAILED or policy is None:
        return None
    return next_delay(
        policy,
        attempt=ended.attempt,
        code=ended.error.get("code", ""),
        chance=random.random(),  # noqa: S311 - spreads attempts, hides nothing
        retry_after_s=ended.retry_after_s,
    )


def _may_go_on(ended: Ended, delay_s: float, *, longest_s: float) -> bool:
    """Say whether the next attempt may follow under the same claim: what was set aside for that must still be whole."""
    return delay_s <= longest_s and not ended.cost_microcredits


def _continued(before: Ended, after: Ended) -> Ended:
    """Return the later of two attempts with what the earlier used added to it."""
    return replace(
        after,
        history=before.history,
        usage=_added(before.usage, after.usage),
        cost_microcredits=before.cost_microcredits + after.cost_microcredits,
        own_microcredits=after.cost_microcredits,
    )


def _with_earlier(begun: Begun, ended: Ended) -> Ended:
    """Add what attempts under earlier claims used, as the row holds it."""
    if begun.claim is None or not (begun.claim.spent or begun.claim.spent_microcredits):
        return ended
    return replace(
        ended,
        usage=_added(begun.claim.spent, ended.usage),
        cost_microcredits=begun.claim.spent_microcredits + ended.cost_microcredits,
    )


def _added(before: Mapping[str, int | float | str], after: Mapping[str, int | float | str]) -> Amounts:
    total: Amounts = dict(before)
    for name, amount in after.items():
        earlier = total.get(name, 0)
        total[name] = amount if isinstance(amount, str) or isinstance(earlier, str) else earlier + amount
    return total
