"""Usage times price."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.sdk import BlockCostConfig, Usage
from executions.engine.pricing import MAX_MICROCREDITS, Price, PriceList, cost_of, most_of

USAGE = Usage(input_tokens=7, output_tokens=3, bytes=5, items=4, usd=0.25, seconds=2.5)


@pytest.mark.parametrize(
    ("cost_type", "microcredits"),
    [
        ("token", 10_000_000),
        ("run", 1_000_000),
        ("second", 2_500_000),
        ("byte", 5_000_000),
        ("item", 4_000_000),
        ("usd", 250_000),
    ],
)
def test_counts_what_the_price_is_for(cost_type, microcredits):
    assert cost_of(USAGE, BlockCostConfig(cost_type, 1)) == microcredits


def test_without_a_price_it_is_free():
    assert cost_of(USAGE, None) == 0


def test_without_usage_only_the_run_costs():
    assert cost_of(Usage(), BlockCostConfig("token", 1)) == 0
    assert cost_of(Usage(), BlockCostConfig("run", Decimal("0.01"))) == 10_000


def test_takes_a_float_as_its_author_wrote_it():
    assert cost_of(Usage(input_tokens=3), BlockCostConfig("token", 0.1)) == 300_000


def test_rounds_up_once_for_the_whole_firing():
    price = BlockCostConfig("token", Decimal("0.0000004"))

    assert [cost_of(Usage(input_tokens=count), price) for count in (0, 1, 2, 3, 5)] == [0, 1, 1, 2, 2]


@given(
    tokens=st.integers(0, 10**9),
    more=st.integers(0, 10**6),
    price=st.decimals(0, 1000, allow_nan=False, places=9),
)
def test_never_gives_away_a_fraction_and_grows_with_usage(tokens, more, price):
    config = BlockCostConfig("token", price)

    cost = cost_of(Usage(input_tokens=tokens), config)

    exact = tokens * price * 1_000_000
    assert exact <= cost < exact + 1
    assert cost <= cost_of(Usage(input_tokens=tokens + more), config)


def test_does_not_lose_a_fraction_of_a_long_product():
    config = BlockCostConfig("token", Decimal("1.000000000000000001"))

    assert cost_of(Usage(input_tokens=2**53), config) == ceil(2**53 * Fraction("1.000000000000000001") * 1_000_000)


@pytest.mark.parametrize(
    "wrong", [{"cost_type": "page"}, {"cost_per_unit": -1}, {"cost_per_unit": float("nan")}, {"at_most": -1}]
)
def test_a_price_that_can_not_be_is_refused_where_it_is_written(wrong):
    with pytest.raises(ValueError):
        BlockCostConfig(**({"cost_type": "run", "cost_per_unit": 1} | wrong))


THEN = datetime(2025, 1, 1, tzinfo=UTC)
TOKENS = BlockCostConfig("token", 0.00002, "openai")


def price(model: str, *, each: int = 1_000_000, days: int = 0, provider: str = "openai") -> Price:
    return Price(provider, model, each, each, each, THEN + timedelta(days=days))


def test_input_output_and_cached_tokens_have_a_price_each():
    asked = Price("openai", "m", input=2_000_000, output=8_000_000, cached=500_000, valid_from=THEN)

    # 60 of the 100 given were cached.
    assert cost_of(Usage(input_tokens=100, cached_tokens=60, output_tokens=10), TOKENS, asked) == 40 * 2 + 30 + 10 * 8


def test_tokens_are_rounded_up_once_together():
    asked = Price("openai", "m", input=400_000, output=400_000, cached=0, valid_from=THEN)

    assert cost_of(Usage(input_tokens=1, output_tokens=1), TOKENS, asked) == 1
    assert cost_of(Usage(input_tokens=3, output_tokens=2), TOKENS, asked) == 2


def test_more_cached_than_given_is_still_paid():
    asked = Price("openai", "m", input=2_000_000, output=0, cached=1_000_000, valid_from=THEN)

    assert cost_of(Usage(input_tokens=0, cached_tokens=7), TOKENS, asked) == 7


amounts = st.integers(0, 2**53)
prices = st.builds(
    lambda given, made, share: Price("openai", "m", given, made, given * share // 100, THEN),
    st.integers(0, MAX_MICROCREDITS),
    st.integers(0, MAX_MICROCREDITS),
    st.integers(0, 100),
)


@given(given=amounts, made=amounts, cached=amounts, more=st.integers(0, 10**6), asked=prices)
def test_tokens_cost_a_whole_number_that_is_exact_grows_with_usage_and_with_the_price(given, made, cached, more, asked):
    usage = Usage(input_tokens=given, output_tokens=made, cached_tokens=min(cached, given))

    cost = cost_of(usage, TOKENS, asked)

    exact = Fraction(
        (given - usage.cached_tokens) * asked.input + usage.cached_tokens * asked.cached + made * asked.output, 10**6
    )
    assert isinstance(cost, int)
    assert 0 <= exact <= cost < exact + 1
    usage.add(input_tokens=more, output_tokens=more)
    assert cost <= cost_of(usage, TOKENS, asked)
    dearer = Price("openai", "m", asked.input + 1, asked.output + 1, asked.cached + 1, THEN)
    assert cost_of(usage, TOKENS, asked) <= cost_of(usage, TOKENS, dearer)


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("gpt-4o", "gpt-4o"),
        ("GPT-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-audio-preview", "gpt-*"),
        ("claude-3-5-sonnet-20241022", "*"),
        ("", "*"),
        ("*", "*"),
    ],
)
def test_the_price_that_says_most_about_a_model_counts(model, found):
    known = PriceList(price(name) for name in ("*", "gpt-*", "gpt-4o", "gpt-4o-mini"))

    asked = known.find("openai", model, at=THEN)

    assert asked is not None
    assert asked.model == found


def test_a_model_without_a_price_has_none():
    known = PriceList([price("gpt-4o"), price("*", provider="other")])

    assert known.find("openai", "gpt-4o-audio-preview", at=THEN) is None
    assert known.find("openai", "gpt-4o", at=THEN - timedelta(seconds=1)) is None


@given(st.lists(st.integers(0, 50), unique=True, min_size=1), st.integers(0, 60))
def test_the_price_in_force_when_the_call_began_decides(days, asked):
    known = PriceList(price("m", each=day, days=day) for day in days)

    found = known.find("openai", "m", at=THEN + timedelta(days=asked))

    assert (found.input if found else None) == max((day for day in days if day <= asked), default=None)


def test_the_dearest_of_a_provider_covers_all_of_them():
    known = PriceList(
        [price("a", each=5), price("b", each=9), price("c", each=99, days=1), price("d", each=99, provider="x")]
    )

    dearest = known.dearest("openai", at=THEN)

    assert dearest is not None
    assert (dearest.input, dearest.output, dearest.cached) == (9, 9, 9)
    assert known.dearest("nobody", at=THEN) is None


@given(given=st.integers(0, 10**6), made=st.integers(0, 10**6), cached=st.integers(0, 10**6), asked=st.none() | prices)
def test_no_firing_within_what_was_expected_costs_more_than_is_held(given, made, cached, asked):
    held = most_of(TOKENS, input_tokens=given, output_tokens=made, seconds=0, price=asked)

    assert (
        cost_of(Usage(input_tokens=given, output_tokens=made, cached_tokens=min(cached, given)), TOKENS, asked) <= held
    )


@pytest.mark.parametrize(
    ("config", "held"),
    [
        (None, 0),
        (BlockCostConfig("run", 0.5), 500_000),
        (BlockCostConfig("second", 0.001), 30_000),
        (BlockCostConfig("item", 0.01), 10_000),
        (BlockCostConfig("item", 0.01, at_most=20), 200_000),
        (BlockCostConfig("usd", 1, at_most=Decimal("0.05")), 50_000),
    ],
)
def test_what_can_not_be_known_is_held_as_its_author_says(config, held):
    assert most_of(config, input_tokens=0, output_tokens=0, seconds=30.0) == held
