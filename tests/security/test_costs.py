"""S37: nobody gets anything for nothing, whatever is reported, whichever model is asked, and whenever its price changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

import pytest

from agentplatform.lib.clock import now
from blocks import registry
from blocks.sdk import BlockError, Usage
from executions import prices, quotes
from executions.engine.pricing import MAX_MICROCREDITS
from executions.engine.status import Status
from executions.models import LedgerEntry, TokenPrice
from tests.paid import MICRO, PAID, Asks, AsksAtMost, Miscounts, make_price, ran

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def known_anew() -> Iterator[None]:
    """Let no test go by the prices of another."""
    registry.register(*PAID)
    prices.forget()
    yield
    prices.forget()


class TestAnUnknownModel:
    def test_is_not_even_asked(self):
        make_price("m")

        execution, firing = ran(Asks, model="unheard-of", uses={"output_tokens": 9, "model": "unheard-of"})

        assert (execution.status, firing.error_code) == (Status.FAILED, "PRICE_UNKNOWN")
        assert firing.usage == {}
        assert not LedgerEntry.objects.exists()

    def test_that_hides_behind_a_known_name_pays_what_the_dearest_costs(self):
        make_price("m", given=1, made=1)
        make_price("dear", given=50, made=50)

        execution, _ = ran(Asks, model="m", uses={"output_tokens": 9, "model": "unheard-of"})

        assert execution.cost_microcredits == 9 * 50

    def test_of_a_block_that_names_the_most_it_costs_pays_that(self):
        execution, _ = ran(AsksAtMost, model="unheard-of", uses={"output_tokens": 9, "model": "unheard-of"})

        assert execution.cost_microcredits == 9 * 20

    def test_is_not_cheap_because_a_cheap_one_is_named_last(self):
        make_price("cheap", given=1, made=1)
        make_price("dear", given=50, made=50)
        usage = Usage()
        usage.add(output_tokens=10, model="dear")
        usage.add(output_tokens=0, model="cheap")
        prices.current()

        assert quotes.price_of(usage, Asks, at=now(), is_own_key=False) == 10 * 50


class TestWhatIsReported:
    @pytest.mark.parametrize(
        ("uses", "code"),
        [
            ({"input_tokens": -1, "model": "m"}, "BLOCK_CRASHED"),
            ({"cached_tokens": -(2**60), "model": "m"}, "BLOCK_CRASHED"),
            ({"input_tokens": math.nan, "model": "m"}, "USAGE_INVALID"),
            ({"output_tokens": math.inf, "model": "m"}, "USAGE_INVALID"),
            ({"output_tokens": 2**63, "model": "m"}, "USAGE_INVALID"),
            ({"output_tokens": 2**53, "model": "m"}, "USAGE_INVALID"),
        ],
    )
    def test_is_refused_where_it_can_not_be_counted(self, uses, code):
        make_price("m", made=MAX_MICROCREDITS // MICRO)
        Miscounts.uses = uses

        execution, firing = ran(Miscounts, model="m", max_tokens=1)

        assert (execution.status, firing.error_code) == (Status.FAILED, code)
        assert firing.cost_microcredits == execution.cost_microcredits == 0

    def test_counts_no_less_because_it_is_called_cached(self):
        make_price("m", given=4, cached=1)
        prices.current()

        all_cached = Usage(input_tokens=10, cached_tokens=1_000, model="m")

        assert quotes.price_of(all_cached, Asks, at=now(), is_own_key=False) == 1_000


class TestAChangedPrice:
    def test_counts_from_its_moment_on_also_where_the_old_one_is_still_known(self):
        make_price("m", given=2)
        prices.current()

        raised = prices.set_price(
            provider="probe", model="m", input_microcredits=9 * MICRO, output_microcredits=9 * MICRO
        )

        usage = Usage(input_tokens=10, model="m")
        at_once, then = now(), raised.valid_from
        # A process that has not looked since is right until it looks again, which is before the new price counts.
        assert then - at_once > timedelta(seconds=prices.FRESH_S)
        assert quotes.price_of(usage, Asks, at=at_once, is_own_key=False) == 20
        prices.forget()
        prices.current()
        assert quotes.price_of(usage, Asks, at=at_once, is_own_key=False) == 20
        assert quotes.price_of(usage, Asks, at=then, is_own_key=False) == 90

    def test_is_not_made_for_the_past(self):
        with pytest.raises(prices.PriceInvalid):
            prices.set_price(provider="probe", model="m", input_microcredits=0, output_microcredits=0, valid_from=now())
        assert not TokenPrice.objects.filter(provider="probe").exists()


class TestAnOverflow:
    def test_the_dearest_there_can_be_stays_far_below_what_a_column_holds(self):
        make_price("m", given=MAX_MICROCREDITS // MICRO, made=MAX_MICROCREDITS // MICRO)
        prices.current()

        with pytest.raises(BlockError) as refused:
            quotes.price_of(Usage(input_tokens=2**53, output_tokens=2**53, model="m"), Asks, at=now(), is_own_key=False)

        assert refused.value.code == "USAGE_INVALID"
        assert 20_000 * MAX_MICROCREDITS < 2**63 / 100
