"""What a firing may cost before it begins, and what it did cost when it has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from typing import Any

from django.conf import settings

from agentplatform.lib.clock import now
from agentplatform.lib.errors import AppError
from blocks import registry
from blocks.sdk import Block, BlockCostConfig, BlockError, Placement, Usage
from executions import prices
from executions.engine.plan import PlanNode
from executions.engine.pricing import MAX_MICROCREDITS, Price, PriceList, cost_of, cost_of_tokens, most_of
from graphs.pins import parse
from integrations.errors import CredentialMissing

#: A token for every so many bytes of what a block is given: usual texts take fewer.
BYTES_PER_TOKEN = 2
#: For what a block says to a model of its own, its instructions.
INSTRUCTION_TOKENS = 500
#: What a model makes, if nothing limits it.
OUTPUT_TOKENS = 4_096
#: The inputs of a block that name models, and the one that limits what they make.
MODEL_PINS, LIMIT_PIN = ("model", "models", "fallback_models"), "max_tokens"


def hold_for(node: PlanNode, values: Mapping[str, Any], *, is_own_key: bool) -> int:
    """Return the micro-credits to hold before a firing: the most that one attempt costs, as far as it can be known.

    Raises:
        BlockError: the block names a model without a price, and no most that it costs (`PRICE_UNKNOWN`).
    """
    block = registry.runnable(node.block_id)
    config = block.cost_config
    if config is None or is_own_key:
        return 0
    seconds = node.timeout_s or block.timeout_s or settings.AGENTPLATFORM_BLOCK_TIMEOUT_S
    if config.cost_type != "token":
        return most_of(config, input_tokens=0, output_tokens=0, seconds=seconds)
    given = {name: field.default for name, field in block.input_schema.model_fields.items()} | dict(values)
    found = _prices_of_named(config, given, prices.current()) if config.provider else [None]
    said, made = INSTRUCTION_TOKENS + _bytes_of(values) // BYTES_PER_TOKEN, _output_tokens(config, given)

    def most(price: Price | None, calls: int) -> int:
        read = calls * said + (calls - 1) * made
        return most_of(config, input_tokens=read, output_tokens=calls * made, seconds=seconds, price=price)

    # A model that breaks off, or is too slow, is paid for, and so is the next one of the list; who replies is asked the rest.
    tried = accumulate((most(price, 1) for price in found), initial=0)
    return max(before + most(price, config.calls) for before, price in zip(tried, found, strict=False))


def refuse_unheld(node: PlanNode, values: Mapping[str, Any] | AppError) -> None:
    """See to it that a firing for which nothing is held asks with the platform's own key only where that costs nothing.

    Raises:
        CredentialMissing: its owner's key was there when it was claimed, and is not any more.
    """
    if isinstance(values, Mapping) and hold_for(node, values, is_own_key=False):
        raise CredentialMissing(
            "The key of its owner is gone since it began, and nothing was set aside for the platform's own.",
            hint="Start it again, or retry it from this node.",
        )


def costs(node: PlanNode) -> bool:
    """Say whether a node may cost the platform something at all."""
    try:
        return registry.get(node.block_id).cost_config is not None
    except AppError:
        return False


def is_known_before(node: PlanNode) -> bool:
    """Say whether the constants of a node tell the least that is held for it: not where a link may say what decides that."""
    linked = {parse(feed.address).name for feed in node.feeds}
    return linked.isdisjoint((*MODEL_PINS, LIMIT_PIN))


def goes_by_tables(config: BlockCostConfig | None) -> bool:
    """Say whether what a block costs stands in the tables of prices, and not with the block."""
    return config is not None and config.cost_type == "token" and bool(config.provider)


async def ready(block: type[Block]) -> None:
    """See to it that the prices that a firing of this block is charged by are known, as of its beginning; for one that goes by tables."""
    if block.placement is Placement.INLINE:
        # It runs on a thread that may look into the database, and not on the event loop.
        prices.current()
    else:
        await prices.refresh()


def price_of(usage: Usage, block: type[Block], *, at: datetime, is_own_key: bool) -> int:
    """Return what an attempt cost that began at a moment, in micro-credits.

    Asks nobody: by then the prices are known, see `ready`. A model that turns out to have no price costs what the dearest of its provider
    does: what was used is never free.

    Raises:
        BlockError: nothing of the provider has a price (`PRICE_UNKNOWN`); it costs more than can be (`USAGE_INVALID`).
    """
    config = block.cost_config
    if config is None or is_own_key:
        return 0
    if goes_by_tables(config):
        known = prices.known()
        used = usage.tokens()
        cost = cost_of_tokens([(used[model], _price_of(config, model, known, at)) for model in used], config)
    else:
        cost = cost_of(usage, config)
    if cost > MAX_MICROCREDITS:
        raise BlockError(
            "It reports to have used more than anything costs.",
            code="USAGE_INVALID",
            hint="This is a fault in the block.",
        )
    return cost


def _price_of(config: BlockCostConfig, model: str, known: PriceList, at: datetime) -> Price | None:
    """Return the price of a model that was asked; None where its tokens cost what the block says."""
    price = known.find(config.provider, model, at=at)
    if price is None and not config.cost_per_unit:
        price = known.dearest(config.provider, at=at)
        if price is None:
            raise _unknown(config, model)
    return price


def _prices_of_named(config: BlockCostConfig, given: Mapping[str, Any], known: PriceList) -> list[Price | None]:
    """Return the prices of the models that a firing may ask, in their order; None for one that costs what the block says."""
    named = [*_texts([given.get(pin) for pin in MODEL_PINS])]
    # What names no model at first asks the platform's, whatever else it may fall back on.
    is_default = not given.get(MODEL_PINS[0]) if MODEL_PINS[0] in given else not named
    models = list(dict.fromkeys([str(settings.OPENAI_MODEL or ""), *named] if is_default else named))
    at = now()
    found = [known.find(config.provider, model, at=at) for model in models]
    if not config.cost_per_unit and None in found:
        raise _unknown(config, models[found.index(None)])
    return found


def _unknown(config: BlockCostConfig, model: str) -> BlockError:
    return BlockError(
        f"What {model or 'an unnamed model'} of {config.provider} costs is not known.",
        code="PRICE_UNKNOWN",
        hint=f"Name another model, or set its price in the console; a price for * is that of all others of {config.provider}.",
    )


def _output_tokens(config: BlockCostConfig, given: Mapping[str, Any]) -> int:
    limit = given.get(LIMIT_PIN)
    # What a document wrote as a text counts as the block will read it.
    if str(limit).isdecimal() and int(str(limit)) > 0:
        return int(str(limit))
    return OUTPUT_TOKENS if config.at_most is None else int(config.at_most)


def _bytes_of(values: Any) -> int:
    """Return how many bytes the texts in some values have together."""
    return sum(len(text.encode(errors="replace")) for text in _texts(values))


def _texts(values: Any) -> Iterator[str]:
    """Yield every text in a value that is not empty, however deep it lies, in their order."""
    left = [values]
    while left:
        value = left.pop()
        if isinstance(value, str):
            if value:
                yield value
        elif isinstance(value, Mapping):
            left.extend(reversed([*value.values()]))
        elif isinstance(value, list | tuple):
            left.extend(reversed(value))
