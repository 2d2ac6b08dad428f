"""What could surely not be paid is refused at every door, and nothing is stored of it; what may be paid goes by the holds."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from agentplatform.lib.clock import now
from blocks import registry
from blocks.sdk import Block, BlockCostConfig, Placement
from executions import budgets, charging, deliveries, ledger, prices, schedules, services, statements
from executions.charging import Amount
from executions.engine.money import BudgetPeriod, BudgetScope
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import Status
from executions.errors import AmountInvalid, BudgetExceeded
from executions.models import Budget, Delivery, Execution, Fire, LedgerEntry, StartKey
from graphs.models import GraphVersion
from integrations import services as credentials
from tests.blocks import TEST_BLOCKS, AnyOutput, facts_of
from tests.factories import make_execution, make_user
from tests.integration.executions.paying import HELD, PAID, make_payer, paid, published
from tests.paid import PAID as ASKING
from tests.paid import AskInput, Asks, make_price
from tests.schedules import make_schedule
from tests.webhooks import make_sender

pytestmark = pytest.mark.django_db

SHORT = HELD - 1


class WithKey(Asks):
    """Asks with the key of its node."""

    id = "affording.with-key"
    credentials_required = ("openai",)
    cost_config = BlockCostConfig("run", 0.0001)


class Filter(Block):
    """Hands on, or does not."""

    id = "affording.filter"
    name = "Filter"
    description = "Yields nothing where it is told to."
    placement = Placement.INLINE
    input_schema, output_schema = AskInput, AnyOutput

    async def execute(self, input_data: AskInput) -> AsyncIterator[tuple[str, Any]]:
        """Hand on what was given, if it is something."""
        if input_data.prompt:
            yield "output", input_data.prompt


def node(key: str, block_id: str, *, on_error: str = "fail", **constants: Any) -> NodeSpec:
    """Return a node of any block there is."""
    registry.register(*TEST_BLOCKS, *PAID, *ASKING, WithKey, Filter)
    return NodeSpec(key, block_id, constants, on_error, block=facts_of(registry.get(block_id)))


@pytest.fixture(autouse=True)
def _blocks() -> None:
    registry.register(*PAID, *ASKING, WithKey, Filter)
    prices.forget()


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The hot statements that are run, by name."""
    names: list[str] = []
    run = statements.run

    def told(cursor: Any, name: str, **values: Any) -> None:
        names.append(name)
        run(cursor, name, **values)

    monkeypatch.setattr(statements, "run", told)
    return names


def behind(*before: Any, pins: str = "output") -> GraphVersion:
    """Return a graph in which a node that costs something comes last in a row."""
    row = [*before, paid("last")]
    links = [
        LinkSpec(one.key, pins, other.key, "prompt" if other.block_id == Filter.id else "input")
        for one, other in itertools.pairwise(row)
    ]
    return published(*row, links=links, owner=make_payer(SHORT))


def start(version: GraphVersion, **options: Any) -> Execution:
    return services.start(version_id=version.pk, owner_id=version.graph.owner_id, **options)


def refused(version: GraphVersion, **options: Any) -> BudgetExceeded:
    with pytest.raises(BudgetExceeded) as error:
        start(version, **options)
    return error.value


def nothing_is_stored() -> bool:
    charged = LedgerEntry.objects.filter(execution_id__isnull=False)
    return not (Execution.objects.exists() or charged.exists() or StartKey.objects.exists())


class TestWhatIsShort:
    def test_is_told_with_the_node_and_by_how_much(self):
        error = refused(published(owner=make_payer(SHORT)))

        assert (error.code, error.status, error.path) == ("BUDGET_EXCEEDED", 402, "nodes.only")
        assert error.facts == {"shortfall_microcredits": 1}
        assert "$0.0001" in error.message
        assert "credit of its owner" in error.message
        assert nothing_is_stored()

    def test_is_nothing_where_it_is_just_enough(self):
        assert start(published(owner=make_payer(HELD))).pk

    def test_counts_the_overdraft(self):
        owner = make_payer(0)
        version = published(owner=owner)
        ledger.set_overdraft(owner.pk, HELD)

        assert start(version).pk

    def test_of_an_owner_without_an_account_goes_by_what_a_new_one_has(self, settings):
        version = published(owner=make_user())
        settings.AGENTPLATFORM_DEFAULT_OVERDRAFT_MICROCREDITS = 0

        assert refused(version).facts == {"shortfall_microcredits": HELD}

        settings.AGENTPLATFORM_DEFAULT_OVERDRAFT_MICROCREDITS = None
        assert start(version).pk

    def test_is_not_what_is_only_set_aside_just_now(self):
        version = published(owner=make_payer(HELD))
        other = make_execution(version)
        assert not charging.hold([Amount(other.pk, "only", (), 7, 1, HELD)])

        assert start(version).pk

    def test_is_the_own_budget_by_its_field(self):
        error = refused(published(owner=make_payer(1000)), budget_microcredits=30)

        assert (error.path, error.facts) == ("budget_microcredits", {"shortfall_microcredits": 70})
        assert nothing_is_stored()
        assert not Budget.objects.exists()

    def test_is_no_amount_before_it_is_too_little(self):
        with pytest.raises(AmountInvalid):
            start(published(), budget_microcredits=-1)

    @pytest.mark.parametrize("scope", [BudgetScope.GRAPH, BudgetScope.API_KEY, BudgetScope.OWNER])
    @pytest.mark.parametrize("period", BudgetPeriod)
    def test_is_any_budget_that_would_count(self, scope, period):
        version = published(owner=make_payer(1000))
        ids = {
            BudgetScope.GRAPH: version.graph_id,
            BudgetScope.API_KEY: "key",
            BudgetScope.OWNER: version.graph.owner_id,
        }
        budget = budgets.limit(scope, ids[scope], 150, owner_id=version.graph.owner_id, period=period)
        Budget.objects.filter(pk=budget.pk).update(spent_microcredits=120)

        assert refused(version, api_key="key").facts == {"shortfall_microcredits": 70}

        if period == BudgetPeriod.DAY:
            Budget.objects.filter(pk=budget.pk).update(spent_on="2001-01-01")
            assert start(version, api_key="key").pk

    def test_is_not_the_budget_of_others(self):
        version = published(owner=make_payer(1000))
        for scope, of in ((BudgetScope.GRAPH, "other"), (BudgetScope.API_KEY, "other"), (BudgetScope.OWNER, "0")):
            budgets.limit(scope, of, 0, owner_id=version.graph.owner_id)

        assert start(version, api_key="key").pk


class TestWhatSurelyCosts:
    def test_is_the_dearest_and_not_the_sum_as_most_of_a_hold_comes_back(self):
        assert start(published(paid("a"), paid("b"), owner=make_payer(HELD))).pk

    def test_is_also_what_comes_behind_what_always_yields(self):
        before = [
            node("in", "test.input", name="in", default=1),
            node("text", "template-block", template="x"),
            node("same", "constant-block"),
        ]
        links = [
            LinkSpec("in", "output", "text", "values_#_a"),
            LinkSpec("text", "output", "same", "value"),
            LinkSpec("same", "output", "last", "input"),
        ]

        assert refused(published(*before, paid("last"), links=links, owner=make_payer(SHORT))).path == "nodes.last"

    @pytest.mark.parametrize(
        ("before", "pin"),
        [
            (node("way", "condition-block", value1=1), "yes"),
            (node("way", "condition-block", value1=1), "result"),
            (node("way", "split-text-block", text=""), "part"),
            (node("way", Filter.id), "output"),
            (node("way", "template-block", template="x", on_error="continue"), "output"),
            (node("way", "constant-block", value={}), "output_#_a"),
        ],
    )
    def test_is_not_what_may_never_fire(self, before, pin):
        assert start(behind(before, pins=pin)).pk

    def test_is_not_what_a_link_decides(self):
        make_price("m", given=50, made=50)
        name = node("name", "test.input", name="model", default="m")
        asks = node("ask", Asks.id)
        free = published(asks, name, links=[LinkSpec("name", "output", "ask", "model")], owner=make_payer(0))

        assert start(free).pk
        assert refused(published(node("ask", Asks.id, model="m"), owner=make_payer(0)))

    def test_goes_by_the_prices_of_now(self):
        make_price("m", given=0, made=0, valid_from=now() - timedelta(days=2))
        version = published(node("ask", Asks.id, model="m"), owner=make_payer(10))
        assert start(version).pk

        make_price("m", given=50, made=50)
        prices.forget()

        assert refused(version)

    def test_is_nothing_with_a_key_of_its_own(self, settings):
        settings.OPENAI_API_KEY = "sk-of-the-platform"
        version = published(node("ask", WithKey.id), owner=make_payer(0))
        assert refused(version)

        own = {"name": "mine", "provider": "openai", "kind": "api_key", "secret": {"api_key": "sk-mine-mine-mine"}}
        credentials.add(owner_id=version.graph.owner_id, **own)

        assert start(version).pk

    def test_asks_nobody_where_nothing_costs(self, asked):
        start(published(node("only", "test.source")))

        assert "money_left" not in asked

    def test_asks_once_where_something_does(self, asked):
        version = published(owner=make_payer(HELD))
        start(version)
        asked.clear()

        start(version)

        assert asked == ["money_left", "start"]


class TestTheDoors:
    """The same code at each of them."""

    @pytest.fixture
    def version(self) -> GraphVersion:
        return published(owner=make_payer(SHORT))

    def test_the_api_answers_402_with_all_of_it(self, version):
        api = APIClient()
        api.force_authenticate(version.graph.owner)

        answer = api.post(
            "/api/v1/executions/", {"version": str(version.pk)}, format="json", headers={"Idempotency-Key": "k"}
        )

        assert answer.status_code == 402
        told = answer.json()
        assert (told["code"], told["path"], told["shortfall_microcredits"]) == ("BUDGET_EXCEEDED", "nodes.only", 1)
        assert told["errors"][0]["path"] == "nodes.only"
        assert told["hint"]
        assert nothing_is_stored()

        ledger.top_up(version.graph.owner_id, 1, key="more")
        again = api.post(
            "/api/v1/executions/", {"version": str(version.pk)}, format="json", headers={"Idempotency-Key": "k"}
        )
        assert again.status_code == 202

    def test_the_command_says_it(self, version):
        with pytest.raises(CommandError, match="too little"):
            call_command("execute", str(version.graph_id))
        assert nothing_is_stored()

    def test_a_delivery_is_kept_and_can_be_replayed(self):
        listens = [node("in", "test.input", name="payload"), paid("only")]
        version = published(*listens, links=[LinkSpec("in", "output", "only", "input")], owner=make_payer(SHORT))
        sender = make_sender(version)

        answer = sender.send({"a": 1})

        kept = Delivery.objects.get()
        assert (answer.status_code, answer.json()["code"]) == (402, "BUDGET_EXCEEDED")
        assert (kept.status, kept.reason, kept.payload) == ("REFUSED", "BUDGET_EXCEEDED", {"a": 1})
        assert nothing_is_stored()
        ledger.top_up(version.graph.owner_id, 1, key="more")
        assert deliveries.replay(kept).execution.inputs == {"payload": {"a": 1}}
        assert sender.send({"a": 1}).status_code == 202

    @pytest.mark.django_db(transaction=True)
    def test_a_time_of_a_schedule_is_written_down(self, version):
        schedule = make_schedule(version)

        schedules.fire_due(schedule.next_fire_at)

        fire = Fire.objects.get()
        assert (fire.status, fire.reason, fire.execution_id) == ("FAILED", "BUDGET_EXCEEDED", None)
        assert "$0.000001 too little" in fire.message
        assert nothing_is_stored()

    def test_a_retry_in_the_console_says_it(self, version):
        ended = make_execution(version, status=Status.BUDGET_EXCEEDED)
        console = Client()
        console.force_login(get_user_model().objects.create_superuser("root"))
        page = reverse("admin:executions_execution_retry", args=[ended.pk])
        form = {"mode": "failed", "node": "only", "version": "same"}
        seen = console.post(page, form).context["seen"]

        answer = console.post(page, form | {"seen": seen}, follow=True)

        assert "too little" in answer.content.decode()
        assert Execution.objects.count() == 1
