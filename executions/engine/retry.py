"""Whether a failed attempt is followed by another, and after how long. Pure: chance comes in as a number."""

from __future__ import annotations

from math import isfinite

from blocks.sdk import Retry
from blocks.sdk.retry import HOPELESS, MAX_DELAY_S, NEVER_RETRIED
from executions.engine.plan import PlanNode


def policy_of(node: PlanNode) -> Retry | None:
    """Return the policy of a node, its own or else its block's; None if a failure stands at once."""
    return node.retry if node.retry is not None and node.retry.attempts > 1 else None


def next_delay(
    policy: Retry, *, attempt: int, code: str, chance: float, retry_after_s: float | None = None
) -> float | None:
    """Return after how many seconds another attempt follows `attempt` (the first is 1), or None if none does.

    `chance`, from 0 to below 1, places the delay within the jitter. What the other side asked for (`Retry-After`) is a minimum,
    upon which the jitter comes, so that not all who were told the same come back at once; who asks for more than a day is not
    waited for.
    """
    if attempt >= policy.attempts or not is_retried(policy, code):
        return None
    delay = min(policy.delay_s * policy.factor ** (attempt - 1), policy.max_delay_s)
    delay *= 1 + policy.jitter * (2 * chance - 1)
    if retry_after_s is None or not retry_after_s > 0:
        return delay
    if not isfinite(retry_after_s) or retry_after_s > MAX_DELAY_S:
        return None
    return max(delay, retry_after_s * (1 + policy.jitter * chance))


def is_retried(policy: Retry, code: str) -> bool:
    """Say whether a failure with this code is followed by another attempt, as long as there is one left."""
    if code in NEVER_RETRIED:
        return False
    return code in policy.on if policy.on else code not in HOPELESS
