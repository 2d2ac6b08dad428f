"""What a firing is held and charged: by the price in force when it began, and never nothing for what was used."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from agentplatform.lib.clock import now
from blocks import registry
from blocks.sdk import BlockError, Usage
from executions import prices, quotes
from executions.engine.plan import PlanNode
from executions.engine.pricing import MAX_MICROCREDITS
from executions.engine.status import Status
from executions.errors import PriceInvalid
from executions.models import TokenPrice
from executions.published_prices import OPENAI, write_published
from tests.paid import PAID, Asks, AsksAtMost, AsksTwice, Rents, Runs, make_price, planned, ran

pytestmark = pytest.mark.django_db

#: The names of models are a part of what is given, and count a little.
NAMES = 50


@pytest.fixture(autouse=True)
def known_anew() -> Iterator[None]:
    """Let no test go by the prices of another."""
    registry.register(*PAID)
    prices.forget()
    yield
    prices.forget()


class TestSettingAPrice:
    def test_what_is_published_is_there_after_a_migration_and_written_once(self):
        write_published()

        assert TokenPrice.objects.filter(provider="openai", note__contains="2025-08-07").count() == len(OPENAI.prices)
        small = TokenPrice.objects.get(provider="openai", model="gpt-4o-mini")
        assert (small.input_microcredits, small.cached_microcredits, small.output_microcredits) == (
            150_000,
            75_000,
            600_000,
        )

    def test_takes_force_once_every_process_knows_it(self):
        before = now()

        price = prices.set_price(provider=" Probe", model="Some-Model ", input_microcredits=1, output_microcredits=2)

        assert (price.provider, price.model) == ("probe", "some-model")
        assert price.valid_from - before >= prices.NOTICE > timedelta(seconds=prices.FRESH_S)

    @pytest.mark.parametrize(
        ("wrong", "path"),
        [
            ({"valid_from": timedelta(0)}, "valid_from"),
            ({"input_microcredits": -1}, "input_microcredits"),
            ({"output_microcredits": MAX_MICROCREDITS + 1}, "output_microcredits"),
            ({"cached_microcredits": 2}, "cached_microcredits"),
            ({"model": ""}, "model"),
            ({"model": "a*b"}, "model"),
        ],
    )
    def test_refuses_what_can_not_be_a_price(self, wrong, path):
        given = {"provider": "probe", "model": "m", "input_microcredits": 1, "output_microcredits": 1} | wrong
        if "valid_from" in given:
            given["valid_from"] += now()

        with pytest.raises(PriceInvalid) as refused:
            prices.set_price(**given)

        assert refused.value.path == path

    def test_refuses_a_second_price_from_the_same_moment(self):
        moment = now() + timedelta(days=1)
        asked = {"provider": "probe", "model": "m", "input_microcredits": 1, "output_microcredits": 1}
        prices.set_price(**asked, valid_from=moment)

        with pytest.raises(PriceInvalid):
            prices.set_price(**asked, valid_from=moment)

    def test_a_price_in_force_is_neither_changed_nor_removed_one_to_come_is(self):
        in_force, to_come = make_price("old"), make_price("new", valid_from=now() + timedelta(hours=1))

        for change in (lambda: TokenPrice.objects.filter(pk=in_force.pk).update(input_microcredits=0), in_force.delete):
            with pytest.raises(DatabaseError, match="in force"), transaction.atomic():
                change()

        TokenPrice.objects.filter(pk=to_come.pk).update(input_microcredits=7)
        to_come.delete()
        assert list(TokenPrice.objects.filter(provider="probe")) == [in_force]


class TestWhatIsHeld:
    def test_a_run_is_held_whole_and_a_second_for_as_long_as_it_may_take(self):
        assert quotes.hold_for(planned(Runs), {}, is_own_key=False) == 500_000
        assert quotes.hold_for(planned(Rents), {}, is_own_key=False) == 30 * 1_000

    def test_tokens_are_held_for_what_is_given_and_for_the_longest_answer(self):
        make_price("m", given=2, made=8)
        node = planned(Asks)

        held = quotes.hold_for(node, {"model": "m", "prompt": "x" * 1_000, "max_tokens": 100}, is_own_key=False)

        least = 2 * (quotes.INSTRUCTION_TOKENS + 500) + 8 * 100
        assert least <= held <= least + 2
        assert quotes.hold_for(node, {"model": "m"}, is_own_key=False) >= 8 * quotes.OUTPUT_TOKENS

    def test_all_models_that_may_be_asked_in_turn_are_held_for_as_each_is_paid(self):
        make_price("m", given=1, made=1)
        make_price("n", given=5, made=5)
        node = planned(Asks)

        alone, dearer, both = (
            held_for_models(node, model, also) for model, also in (("m", []), ("n", ["n"]), ("m", ["n", "m", "n"]))
        )

        assert both == pytest.approx(alone + dearer, abs=NAMES)

    def test_what_asks_again_is_held_for_as_if_the_dearest_of_its_models_had_replied_last(self):
        make_price("m", given=1, made=1)
        make_price("n", given=5, made=5)
        once, twice = planned(Asks), planned(AsksTwice)

        held = held_for_models(twice, "m", ["n"])

        both = held_for_models(once, "m", []) + held_for_models(twice, "n", [])
        assert held == pytest.approx(both, abs=NAMES)

    def test_the_platforms_model_is_held_for_where_only_others_are_named(self, settings):
        settings.OPENAI_MODEL = "n"
        make_price("m", given=1, made=1)
        make_price("n", given=5, made=5)
        node = planned(Asks)

        both = held_for_models(node, "n", ["m"])
        assert held_for_models(node, "", ["m"]) == pytest.approx(both, abs=NAMES)

    def test_a_model_without_a_price_is_refused_before_it_is_asked(self):
        make_price("m")

        with pytest.raises(BlockError) as refused:
            quotes.hold_for(planned(Asks), {"model": "unheard-of"}, is_own_key=False)

        assert refused.value.code == "PRICE_UNKNOWN"

    def test_a_model_without_a_price_is_held_at_the_most_that_its_block_names(self):
        held = quotes.hold_for(planned(AsksAtMost), {"model": "unheard-of", "max_tokens": 100}, is_own_key=False)

        assert held >= 20 * (quotes.INSTRUCTION_TOKENS + 100)

    def test_nothing_is_held_for_what_is_paid_elsewhere(self):
        assert quotes.hold_for(planned(Asks), {"model": "unheard-of"}, is_own_key=True) == 0
        assert quotes.hold_for(planned(Runs), {}, is_own_key=True) == 0


def held_for_models(node: PlanNode, model: str, fallback_models: list[str]) -> int:
    """Return what is held for a firing that asks one model, and others if that does not reply."""
    return quotes.hold_for(node, {"model": model, "fallback_models": fallback_models}, is_own_key=False)


class TestWhatItCosts:
    def test_the_price_in_force_when_the_call_began_decides(self):
        changed = now() - timedelta(hours=1)
        make_price("m", given=2)
        make_price("m", given=3, valid_from=changed)
        prices.current()
        usage = Usage(input_tokens=10, model="m")

        before, after = changed - timedelta(seconds=1), changed + timedelta(seconds=1)
        assert quotes.price_of(usage, Asks, at=before, is_own_key=False) == 20
        assert quotes.price_of(usage, Asks, at=after, is_own_key=False) == 30

    def test_what_was_cached_has_its_own_price(self):
        make_price("m", given=4, cached=1)
        prices.current()

        usage = Usage(input_tokens=10, cached_tokens=6, model="m-2024-08-06")

        assert quotes.price_of(usage, Asks, at=now(), is_own_key=False) == 4 * 4 + 6

    def test_each_of_several_models_has_its_price_and_all_are_rounded_once(self):
        make_price("m", input_microcredits=400_000)
        make_price("n", input_microcredits=1_400_000)
        prices.current()
        usage = Usage()
        usage.add(input_tokens=1, model="m")
        usage.add(input_tokens=1, model="n")
        usage.add(input_tokens=1)

        assert quotes.price_of(usage, Asks, at=now(), is_own_key=False) == math.ceil(0.4 + 1.4 + 1.4)

    def test_a_model_that_turns_out_to_be_unknown_is_never_free(self):
        make_price("m", given=4, made=4)
        make_price("n", given=9, made=1)
        prices.current()
        usage = Usage(input_tokens=10, output_tokens=10, model="unheard-of")

        assert quotes.price_of(usage, Asks, at=now(), is_own_key=False) == 10 * 9 + 10 * 4
        assert quotes.price_of(usage, AsksAtMost, at=now(), is_own_key=False) == 20 * 20

    def test_where_nothing_has_a_price_it_is_refused(self):
        prices.current()

        with pytest.raises(BlockError) as refused:
            quotes.price_of(Usage(output_tokens=1, model="m"), Asks, at=now(), is_own_key=False)

        assert refused.value.code == "PRICE_UNKNOWN"
        assert quotes.price_of(Usage(), Asks, at=now(), is_own_key=False) == 0

    def test_ones_own_key_costs_the_platform_nothing(self):
        assert quotes.price_of(Usage(output_tokens=9, model="m"), Asks, at=now(), is_own_key=True) == 0
        assert quotes.price_of(Usage(), Runs, at=now(), is_own_key=True) == 0


@pytest.mark.django_db(transaction=True)
class TestAFiring:
    def test_is_charged_by_the_tables(self):
        make_price("m", given=2, made=8)

        execution, firing = ran(Asks, model="m", uses={"input_tokens": 100, "output_tokens": 10, "model": "m"})

        assert execution.status == Status.SUCCEEDED
        assert firing.cost_microcredits == execution.cost_microcredits == 100 * 2 + 10 * 8
