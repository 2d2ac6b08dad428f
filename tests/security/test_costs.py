"""S37: nobody gets anything for nothing, whatever is reported or left out, whichever model is asked, and whenever its price changes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from agentplatform.lib.clock import now
from blocks import registry
from blocks.flow.run_agent import AgentExecutorBlock
from blocks.llm.ask_data import AskDataBlock
from blocks.llm.ask_model import AskModelBlock
from blocks.sdk import BlockError, Retry, Usage
from executions import ledger, prices, quotes, services
from executions.engine.pricing import MAX_MICROCREDITS
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import Status
from executions.errors import BudgetExceeded
from executions.leases import Wanted
from executions.models import LedgerEntry, NodeExecution, TokenPrice
from executions.plans import plan_of
from executions.retrying import Ask
from graphs.models import GraphVersion
from integrations import services as credentials
from integrations.models import Credential
from tests.blocks import facts_of, node
from tests.factories import claim_all, make_published
from tests.integration.executions.paying import (
    HELD,
    assert_adds_up,
    begun,
    entries_of,
    make_payer,
    money_of,
    nobody_connected,
    paid,
    published,
    run,
)
from tests.integration.executions.races import at_once
from tests.keys import make_credential
from tests.outside import allow_only
from tests.paid import MICRO, PAID, Asks, AsksAtMost, Miscounts, make_price, ran
from tests.scripted_llm import Step, answering, pieces, refusing, serving, text, whole

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def known_anew() -> Iterator[None]:
    """Let no test go by the prices of another."""
    registry.register(*PAID)
    prices.forget()
    with nobody_connected():
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


ONCE = Retry(attempts=1)
#: What a model does, whether it is asked for pieces, and what its caller pays for at the prices of `asked_model`, in tokens given and made.
REPLIES = [
    pytest.param([whole(usage={"prompt_tokens": 9, "completion_tokens": 2})], False, (9, 2), id="all is told"),
    pytest.param([whole("Some tea")], False, (4, 2), id="the usage is missing"),
    pytest.param(
        [whole("Some tea", usage={"prompt_tokens": -9, "completion_tokens": -2})], False, (4, 2), id="below zero"
    ),
    pytest.param([whole("Some tea", usage={"prompt_tokens": None})], False, (4, 2), id="the usage is empty"),
    pytest.param(
        [pieces(text("Some "), text("tea"), is_cut=True)], True, (4, 2), id="the stream is aborted before its usage"
    ),
    pytest.param([pieces(text("Some "), text("tea", "stop"))], True, (4, 2), id="the stream has no usage"),
    pytest.param(
        [pieces(text("Some "), text("tea"), {"error": {"message": "no"}})],
        True,
        (4, 2),
        id="the stream ends in an error",
    ),
    pytest.param([answering("{")], False, (4, 0), id="the answer is malformed"),
    pytest.param([refusing(429)], False, (0, 0), id="it is turned away"),
]


class TestAModelThatIsAsked:
    @pytest.mark.parametrize(("steps", "stream", "tokens"), REPLIES)
    def test_is_paid_for_what_it_did(self, steps, stream, tokens, asked_model):
        make_price("m", given=2, made=8, provider="openai")
        owner = make_payer(MICRO)

        with asked_model(*steps):
            execution = run(begun(asking_for(owner, stream=stream)))

        cost = tokens[0] * 2 + tokens[1] * 8
        assert (execution.cost_microcredits, money_of(execution)) == (cost, (MICRO - cost, 0))
        assert_adds_up(owner.pk)

    def test_is_paid_for_each_that_was_tried(self, asked_model):
        make_price("*", given=2, made=8, provider="openai")
        owner = make_payer(MICRO)

        with asked_model(answering("{"), whole(usage={"prompt_tokens": 9, "completion_tokens": 2})):
            execution = run(begun(asking_for(owner, fallback_models=["n"])))

        assert (execution.status, execution.cost_microcredits) == (Status.SUCCEEDED, 4 * 2 + 9 * 2 + 2 * 8)

    def test_is_paid_for_each_attempt(self, asked_model):
        make_price("m", given=2, made=8, provider="openai")
        owner, retry = make_payer(MICRO), Retry(attempts=2, delay_s=0.01)

        with asked_model(answering("{"), whole(usage={"prompt_tokens": 9, "completion_tokens": 2})):
            execution = run(begun(asking_for(owner, retry=retry)))

        assert (execution.status, execution.cost_microcredits) == (Status.SUCCEEDED, 4 * 2 + 9 * 2 + 2 * 8)
        assert money_of(execution) == (MICRO - execution.cost_microcredits, 0)

    def test_is_not_asked_again_where_the_credit_was_for_one_attempt(self, asked_model):
        make_price("m", given=2, made=8, provider="openai")
        version = asking_for(owner := make_payer(0), retry=Retry(attempts=5, delay_s=0.01))
        node = plan_of(version.pk).nodes[0]
        enough = quotes.hold_for(node, {**node.constants, "prompt": "Name a drink."}, is_own_key=False)
        ledger.top_up(owner.pk, enough, key="for one")

        with asked_model(answering("{"), whole()):
            execution = run(begun(version), rounds=40)

        assert (execution.status, execution.cost_microcredits) == (Status.BUDGET_EXCEEDED, 4 * 2)
        assert money_of(execution) == (enough - 4 * 2, 0)
        assert "WRITE_OFF" not in [kind for kind, _ in entries_of(execution.pk)]

    @pytest.mark.parametrize(("missing", "status"), [(0, Status.SUCCEEDED), (1, Status.BUDGET_EXCEEDED)])
    def test_is_held_for_as_often_as_it_may_be_asked(self, asked_model, missing, status):
        make_price("m", given=2, made=8, provider="openai")
        given = {"prompt": "Name a drink.", "model": "m", "max_tokens": 10, "json_schema": {"type": "object"}}
        ask = NodeSpec("ask", AskDataBlock.id, given, block=facts_of(AskDataBlock), retry=ONCE)
        version = make_published([ask], owner=(owner := make_payer(0)))
        once = quotes.hold_for(plan_of(asking_for(owner).pk).nodes[0], given, is_own_key=False)
        ledger.top_up(owner.pk, 2 * once + 10 * 2 - missing, key="for two")

        told = {"prompt_tokens": once // 2 - 10 * 4, "completion_tokens": 10}
        with asked_model(whole("no JSON", usage=told), whole("{}", usage=told)):
            execution = run(begun(version))

        assert execution.status == status
        assert {kind for kind, _ in entries_of(execution.pk)} <= {"HOLD", "SETTLE", "RELEASE"}

    def test_with_a_key_of_ones_own_that_goes_is_not_asked_for_nothing(self, asked_model):
        make_price("m", given=2, made=8, provider="openai")
        owner = make_payer(0)

        with serving(refusing(500)) as own, asked_model(whole()):
            credential = make_credential(owner, base_url=own.url)
            # As it is taken back between two attempts under one claim.
            own.steps[0] = taking_back(credential, own.steps[0])
            execution = run(begun(asking_for(owner, retry=Retry(attempts=2, delay_s=0.01))))

        assert (execution.status, execution.error_code) == (Status.FAILED, "CREDENTIAL_MISSING")
        assert not LedgerEntry.objects.filter(execution_id=execution.pk).exists()

    def test_with_a_key_of_ones_own_is_paid_there_and_counted_here(self, asked_model):
        make_price("m", given=2, made=8, provider="openai")
        owner = make_payer(0)

        with asked_model(whole(usage={"prompt_tokens": 9, "completion_tokens": 2})) as url:
            make_credential(owner, base_url=url)
            execution = run(begun(asking_for(owner)))

        assert (execution.status, execution.cost_microcredits, execution.input_tokens) == (Status.SUCCEEDED, 0, 9)
        assert not LedgerEntry.objects.filter(execution_id=execution.pk).exists()


class TestCredit:
    """As much as there is, and no more, whichever way it is asked for."""

    def test_for_one_lets_one_of_many_at_once_through(self):
        owner = make_payer(HELD)
        executions = [begun(published(paid(costs=HELD), owner=owner)) for _ in range(8)]

        ended = at_once(8, lambda number: run(executions[number]).status)

        assert sorted(ended) == sorted([Status.SUCCEEDED, *[Status.BUDGET_EXCEEDED] * 7])
        assert money_of(executions[0]) == (0, 0)
        assert_adds_up(owner.pk)

    @pytest.mark.parametrize(("credit", "status"), [(HELD, Status.SUCCEEDED), (HELD - 1, Status.BUDGET_EXCEEDED)])
    def test_is_that_of_the_caller_in_a_sub_graph_too(self, credit, status):
        owner = make_payer(credit)
        child = published(paid(costs=HELD), owner=owner)
        call = NodeSpec(
            "call", AgentExecutorBlock.id, {"agent_id": str(child.graph_id)}, block=facts_of(AgentExecutorBlock)
        )

        execution = run(begun(make_published([call], owner=owner)))

        spent = HELD if status is Status.SUCCEEDED else 0
        assert (execution.status, execution.cost_microcredits) == (status, spent)
        assert money_of(execution) == (credit - spent, 0)

    def test_for_three_of_five_items_lets_three_through(self):
        owner = make_payer(3 * HELD)
        nodes = [node("items", "test.stream", input=1, count=5), paid("each", costs=HELD)]
        version = published(*nodes, links=[LinkSpec("items", "item", "each", "input")], owner=owner)

        execution = run(begun(version))

        assert (execution.status, execution.cost_microcredits) == (Status.BUDGET_EXCEEDED, 3 * HELD)
        assert money_of(execution) == (0, 0)

    def test_is_taken_once_where_a_worker_died_with_it(self):
        owner = make_payer(HELD)
        execution = begun(published(paid(costs=HELD), owner=owner))
        claim_all(execution, [Wanted("only", (), {}, hold_microcredits=HELD)], worker="dead")
        NodeExecution.objects.update(lease_expires_at=now() - timedelta(minutes=1))

        ended = run(execution)

        assert (ended.status, ended.cost_microcredits) == (Status.SUCCEEDED, HELD)
        assert [kind for kind, _ in entries_of(execution.pk)] == ["HOLD", "RELEASE", "HOLD", "SETTLE"]
        assert money_of(execution) == (0, 0)

    def test_of_a_retry_is_not_taken_for_what_stands(self):
        owner = make_payer(HELD * 2)
        nodes = [paid("a", costs=HELD, input=1), paid("b", costs=HELD, fails=True)]
        first = run(begun(published(*nodes, links=[LinkSpec("a", "output", "b", "input")], owner=owner)))

        with pytest.raises(BudgetExceeded):
            services.retry(first, Ask(), owner_id=owner.pk)
        ledger.top_up(owner.pk, HELD, key="more")
        again = run(services.retry(first, Ask(), owner_id=owner.pk))

        assert (first.cost_microcredits, again.cost_microcredits) == (2 * HELD, HELD)
        assert money_of(again) == (0, 0)


def asking_for(owner: Any, *, retry: Retry = ONCE, **constants: Any) -> GraphVersion:
    """Return a graph that asks a model with a prompt of 13 characters: about four tokens."""
    given = {"prompt": "Name a drink.", "model": "m", "max_tokens": 10} | constants
    return make_published(
        [NodeSpec("ask", AskModelBlock.id, given, block=facts_of(AskModelBlock), retry=retry)], owner=owner
    )


def taking_back(credential: Credential, then: Step) -> Step:
    """Return a step before which a credential is taken back."""

    def take_back() -> None:
        try:
            credentials.revoke(credential)
            credentials.forget()
        finally:
            connection.close()

    async def step(writer: asyncio.StreamWriter) -> None:
        await asyncio.to_thread(take_back)
        await then(writer)

    return step


@pytest.fixture
def asked_model(monkeypatch, settings) -> Callable[..., Any]:
    """Serve what a model does, at the address that the platform's own key is for."""
    allow_only(monkeypatch, "127.0.0.1")
    settings.OPENAI_API_KEY = "sk-of-the-platform"

    @contextmanager
    def served(*steps: Step) -> Iterator[str]:
        with serving(*steps) as script:
            settings.OPENAI_BASE_URL = script.url
            credentials.forget()
            yield script.url
        credentials.forget()

    return served
