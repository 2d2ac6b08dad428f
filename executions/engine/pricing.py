"""Usage times price: what a firing costs, in micro-credits. Exact, in whole numbers, rounded up once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil

from agentplatform.lib.money import MICROCREDITS_PER_CREDIT
from blocks.sdk import BlockCostConfig, Usage
from blocks.sdk.usage import Tokens

#: Prices of tokens are for so many.
TOKENS_PRICED = 1_000_000
#: Of one attempt, and of a price: so the sums of an execution, and of an owner, stay far below what a column holds.
MAX_MICROCREDITS = 10**12
#: The end of a model's name that says which edition it is: `-2024-08-06`, `-20241022`.
EDITION = re.compile(r"-20\d\d-?[01]\d-?[0-3]\d$")


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens of a model cost from a moment on, in micro-credits."""

    provider: str
    #: The name of a model; with a `*` at its end, of all that begin so.
    model: str
    input: int
    output: int
    #: Of the input, what the provider had in its cache.
    cached: int
    valid_from: datetime


class PriceList:
    """All prices, those to come too."""

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self._by_model: dict[tuple[str, str], list[Price]] = {}
        for price in sorted(prices, key=lambda price: price.valid_from, reverse=True):
            self._by_model.setdefault((price.provider.lower(), price.model.lower()), []).append(price)
        #: The longest beginning first: it says the most about a model.
        self._beginnings = sorted(
            (key for key in self._by_model if key[1].endswith("*")), key=lambda key: len(key[1]), reverse=True
        )

    def find(self, provider: str, model: str, *, at: datetime) -> Price | None:
        """Return the price in force at a moment: of the model, else of any edition of it, else of what begins alike; None without one."""
        provider, model = provider.lower(), model.lower()
        names = [model, EDITION.sub("", model)] if model else []
        keys = [(provider, name) for name in names if not name.endswith("*")]
        keys += [key for key in self._beginnings if key[0] == provider and model.startswith(key[1][:-1])]
        return next((price for key in keys if (price := self._in_force(key, at))), None)

    def dearest(self, provider: str, *, at: datetime) -> Price | None:
        """Return the most that anything of a provider costs at a moment; None if nothing of it has a price."""
        provider = provider.lower()
        found = [price for key in self._by_model if key[0] == provider and (price := self._in_force(key, at))]
        if not found:
            return None
        return replace(
            found[0],
            model="*",
            input=max(price.input for price in found),
            output=max(price.output for price in found),
            cached=max(price.cached for price in found),
        )

    def _in_force(self, key: tuple[str, str], at: datetime) -> Price | None:
        return next((price for price in self._by_model.get(key, ()) if price.valid_from <= at), None)


def cost_of(usage: Usage, config: BlockCostConfig | None, price: Price | None = None) -> int:
    """Return what `usage` costs in micro-credits; without a price it is free.

    Tokens cost what `price` says, if there is one, else what the block says.
    """
    if config is None:
        return 0
    if config.cost_type == "token":
        tokens = Tokens(usage.input_tokens, usage.output_tokens, usage.cached_tokens)
        return cost_of_tokens([(tokens, price)], config)
    return _cost_of_units(_units(usage, config), config)


def cost_of_tokens(used: Iterable[tuple[Tokens, Price | None]], config: BlockCostConfig) -> int:
    """Return what tokens of several models cost together, in micro-credits; those without a price cost what the block says."""
    return ceil(sum((_exact(tokens, price, config) for tokens, price in used), start=Fraction()))


def most_of(
    config: BlockCostConfig | None, *, input_tokens: int, output_tokens: int, seconds: float, price: Price | None = None
) -> int:
    """Return the most that a firing costs, in micro-credits, as far as it can be known before.

    Units that can not be known count as the block's `at_most`, else as one.
    """
    if config is None:
        return 0
    match config.cost_type:
        case "token":
            return cost_of_tokens([(Tokens(input_tokens, output_tokens), price)], config)
        case "second":
            return _cost_of_units(seconds, config)
        case "run":
            return _cost_of_units(1, config)
    return _cost_of_units(1 if config.at_most is None else config.at_most, config)


def _exact(tokens: Tokens, price: Price | None, config: BlockCostConfig) -> Fraction:
    given, made, cached = map(ceil, tokens)
    # What was cached is a part of what was given.
    other = max(given - cached, 0)
    if price is None:
        return (other + cached + made) * Fraction(str(config.cost_per_unit)) * MICROCREDITS_PER_CREDIT
    return Fraction(other * price.input + cached * price.cached + made * price.output, TOKENS_PRICED)


def _cost_of_units(units: Decimal | float, config: BlockCostConfig) -> int:
    return ceil(Fraction(str(units)) * Fraction(str(config.cost_per_unit)) * MICROCREDITS_PER_CREDIT)


def _units(usage: Usage, config: BlockCostConfig) -> float:
    amounts: Mapping[str, float] = {
        "run": 1,
        "second": usage.seconds,
        "byte": usage.bytes,
        "item": usage.items,
        "usd": usage.usd,
    }
    return amounts[config.cost_type]
