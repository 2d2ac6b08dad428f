"""What using a block costs, in the words its author uses."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Literal, get_args

CostType = Literal["token", "run", "second", "byte", "item", "usd"]


@dataclass(frozen=True, slots=True)
class BlockCostConfig:
    """A price: `cost_per_unit` credits (US dollars) for each unit of `cost_type` that a firing reports or takes.

    With a `provider`, tokens cost what the price tables say of the model; `cost_per_unit` is then the most that a token of a model costs
    that is in none of them. Zero there refuses such a model.
    """

    cost_type: CostType
    cost_per_unit: Decimal | float
    provider: str = ""
    #: The most units that a firing takes, for what can not be known before: so much is held for it.
    at_most: Decimal | float | None = None
    #: So often an attempt asks a model at the most, each time with what that has replied before: so much is held for it.
    calls: int = 1

    def __post_init__(self) -> None:
        if self.cost_type not in get_args(CostType):
            raise ValueError(f"Unknown cost type {self.cost_type!r}. Known: {', '.join(get_args(CostType))}.")
        for amount in (self.cost_per_unit, self.at_most or 0):
            if not isfinite(amount) or amount < 0:
                raise ValueError(f"A price counts from zero up, not {amount}.")
        if self.calls < 1:
            raise ValueError(f"An attempt asks once or more often, not {self.calls} times.")
