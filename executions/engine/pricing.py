"""Usage times price: what a firing costs, in micro-credits."""

from __future__ import annotations

from decimal import Decimal

from agentplatform.lib.money import microcredits
from blocks.sdk import BlockCostConfig, Usage


def cost_of(usage: Usage, config: BlockCostConfig | None) -> int:
    """Return the price of `usage` in micro-credits, rounded up once for the whole firing; without a price it is free."""
    if config is None:
        return 0
    units = {
        "token": usage.input_tokens + usage.output_tokens,
        "run": 1,
        "second": usage.seconds,
        "byte": usage.bytes,
        "item": usage.items,
        "usd": usage.usd,
    }[config.cost_type]
    return microcredits(Decimal(str(units)) * Decimal(str(config.cost_per_unit)))
