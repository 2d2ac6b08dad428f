"""Usage times price."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.sdk import BlockCostConfig, Usage
from executions.engine.pricing import cost_of

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
