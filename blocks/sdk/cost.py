"""What using a block costs, in the words its author uses."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

CostType = Literal["token", "run", "second", "byte", "item", "usd"]


@dataclass(frozen=True, slots=True)
class BlockCostConfig:
    """A price: `cost_per_unit` credits (US dollars) for each unit of `cost_type` that a firing reports or takes."""

    cost_type: CostType
    cost_per_unit: Decimal | float
    provider: str = ""
