"""The API of money: what somebody has, where it went, what they allow, and what something would cost; all within their own."""

from __future__ import annotations

import csv
from contextlib import aclosing
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from access import keyring
from access.models import ApiKey
from access.scopes import Scope
from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from executions import export, ledger
from executions.engine.money import AccountKind, EntryKind, account_id
from executions.engine.spec import NodeSpec
from executions.engine.status import Status
from executions.export import safe
from executions.models import Budget, Execution, LedgerEntry
from tests.blocks import node
from tests.factories import make_execution, make_key, make_node_execution, make_published, make_user

pytestmark = pytest.mark.django_db

LEDGER, BUDGETS = "/api/v1/ledger/", "/api/v1/budgets/"


@pytest.fixture
def user():
    return make_user()


@pytest.fixture
def api(user):
    return api_of(user)


def api_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def make_used(
    user: Any, amount: int, *, graph_id: Any = None, node_key: str = "ask", days_ago: float = 0
) -> LedgerEntry:
    """Return the entry of a firing that was paid straight from the credit."""
    LedgerEntry.objects.bulk_create(
        [
            LedgerEntry(
                kind=EntryKind.SETTLE,
                debit_id=account_id(AccountKind.CREDIT, user.pk),
                credit_id=account_id(AccountKind.REVENUE),
                amount_microcredits=amount,
                owner_id=user.pk,
                execution_id=(execution_id := uuid7()),
                root_id=execution_id,
                graph_id=graph_id or uuid7(),
                node_key=node_key,
                fence=1,
                created_at=now() - timedelta(days=days_ago),
            )
        ]
    )
    return LedgerEntry.objects.get(execution_id=execution_id)


class TestTheLedger:
    def test_lists_my_own_newest_first_page_by_page(self, api, user):
        written = [ledger.grant(user.pk, 5, key=f"k{number}") for number in range(5)]
        ledger.grant(make_user().pk, 5, key="another's")

        first = api.get(LEDGER, {"page_size": 3}).data
        second = api.get(first["next"]).data

        shown = [row["id"] for row in [*first["results"], *second["results"]]]
        assert shown == [entry.pk for entry in reversed(written)]
        assert first["results"][0] | {"time": None} == {
            "id": written[4].pk,
            "time": None,
            "kind": "GRANT",
            "amount": {"microcredits": 5, "text": "$0.000005"},
            "debit": "ISSUED",
            "credit": "CREDIT",
            "execution": None,
            "outermost_execution": None,
            "graph": None,
            "node": "",
            "item": "",
            "attempt": None,
            "key": "k4",
            "note": "",
        }

    def test_anothers_entry_is_not_there(self, api):
        entry = ledger.grant(make_user().pk, 5, key="k")

        assert api.get(f"{LEDGER}{entry.pk}/").status_code == 404

    def test_a_made_up_cursor_is_answered_plainly(self, api):
        assert api.get(LEDGER, {"cursor": "cD1ub25zZW5zZQ=="}).status_code == 404

    def test_finds_by_kind_execution_and_time(self, api, user):
        ledger.grant(user.pk, 5, key="k")
        used = make_used(user, 7, days_ago=2)

        def found(**asked: Any) -> list[int]:
            return [row["amount"]["microcredits"] for row in api.get(LEDGER, asked).data["results"]]

        assert found(kind="GRANT") == [5]
        assert found(execution=used.execution_id) == [7]
        assert found(created_before=(now() - timedelta(days=1)).isoformat()) == [7]

    def test_says_what_i_have(self, api, user):
        ledger.grant(user.pk, 1_500_000, key="k")
        ledger.set_overdraft(user.pk, 500_000)

        balance = api.get(f"{LEDGER}balance/").data

        assert balance["credit"] == {"microcredits": 1_500_000, "text": "$1.50"}
        assert balance["available"] == {"microcredits": 2_000_000, "text": "$2.00"}
        assert balance["held"]["microcredits"] == 0

    def test_nobody_sees_it_without_logging_in(self):
        for address in (LEDGER, f"{LEDGER}balance/", f"{LEDGER}export/", f"{LEDGER}costs/", BUDGETS):
            assert APIClient().get(address).status_code == 401

    def test_nothing_of_it_can_be_written_here(self, api, user):
        entry = ledger.grant(user.pk, 5, key="k")

        for method in (api.post, api.put, api.patch, api.delete):
            assert method(LEDGER, {}).status_code == 405
            assert method(f"{LEDGER}{entry.pk}/", {}).status_code == 405


# The client of the tests asks without an event loop, and takes all at once.
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
class TestTheExport:
    def test_is_sent_with_what_the_list_shows(self, api, user):
        ledger.grant(user.pk, 1_234_567, key="k", note="for a start")
        ledger.top_up(user.pk, 2, key="t")
        ledger.grant(make_user().pk, 5, key="another's")

        answer = api.get(f"{LEDGER}export/", {"kind": "GRANT"})

        assert answer.streaming
        assert answer["Content-Disposition"] == 'attachment; filename="ledger.csv"'
        (row,) = csv.DictReader(b"".join(answer).decode().splitlines())
        assert (row["kind"], row["usd"], row["from"], row["to"], row["note"]) == (
            "GRANT",
            "1.234567",
            "ISSUED",
            "CREDIT",
            "for a start",
        )

    def test_is_read_page_by_page_as_it_is_sent(self, api, user, monkeypatch):
        monkeypatch.setattr(export, "PAGE", 1)
        for number in range(5):
            ledger.grant(user.pk, 1 + number, key=f"{number}")
        answer = api.get(f"{LEDGER}export/")

        async def take(count: int) -> list[bytes]:
            async with aclosing(aiter(answer)) as pages:
                return [await anext(pages) for _ in range(count)]

        with CaptureQueriesContext(connection) as asked:
            taken = async_to_sync(take)(3)

        assert [page.count(b"\n") for page in taken] == [1, 1, 1]
        assert sum("FROM executions_ledgerentry" in one["sql"].replace('"', "") for one in asked) == 2

    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "  =1", "＝1"])
    def test_no_cell_is_a_formula(self, text):
        assert safe(text) == f"'{text}"

    def test_plain_text_stays_as_it_is(self):
        assert [safe(value) for value in ("a=b", 5, None, "it's")] == ["a=b", "5", "", "it's"]


class TestCosts:
    def test_adds_up_by_day_graph_node_and_execution_though_the_executions_are_gone(self, api, user):
        one, other = uuid7(), uuid7()
        make_used(user, 5, graph_id=one, node_key="ask")
        make_used(user, 7, graph_id=one, node_key="sum", days_ago=1)
        make_used(user, 90, graph_id=other, days_ago=1)
        make_used(user, 1_000, days_ago=40)
        make_used(make_user(), 1_000, graph_id=one)
        assert not Execution.objects.exists()

        def costs(**asked: Any) -> list[tuple[Any, ...]]:
            rows = api.get(f"{LEDGER}costs/", asked).data
            return [(*(str(value) for value in list(row.values())[:-2]), row["cost"]["microcredits"]) for row in rows]

        assert [row[-1] for row in costs()] == [97, 5]
        assert costs(by="graph") == [(str(other), 90), (str(one), 12)]
        assert costs(by="node", graph=one) == [(str(one), "sum", 7), (str(one), "ask", 5)]
        assert [row[-1] for row in costs(by="execution")] == [90, 7, 5]

    def test_refuses_what_it_can_not_add_up_by(self, api):
        assert api.get(f"{LEDGER}costs/", {"by": "moon"}).data["code"] == "INVALID_REQUEST"


class TestBudgets:
    def test_are_set_for_what_is_mine_changed_and_lifted(self, api, user):
        graph_id = str(make_published([node("only", "test.source")], owner=user).graph_id)

        made = api.post(BUDGETS, {"scope": "GRAPH", "scope_id": graph_id, "period": "DAY", "limit_microcredits": 9})
        at = f"{BUDGETS}{made.data['id']}/"
        changed = api.patch(at, {"limit_microcredits": 12})

        assert made.status_code == 201
        assert made.data["scope_id"] == graph_id
        assert changed.data["remaining"] == {"microcredits": 12, "text": "$0.000012"}
        assert api.get(BUDGETS).data["results"] == [changed.data]
        assert api.delete(at).status_code == 204
        assert not Budget.objects.exists()

    def test_all_that_is_mine_needs_no_name(self, api, user):
        made = api.post(BUDGETS, {"scope": "OWNER", "limit_microcredits": 9})

        assert made.data["scope_id"] == str(user.pk)

    def test_a_key_of_mine_may_be_limited(self, api, user):
        make_key(user)
        key = ApiKey.objects.get(owner=user)

        made = api.post(BUDGETS, {"scope": "API_KEY", "scope_id": str(key.pk), "limit_microcredits": 9})

        assert made.data["scope_id"] == str(key.pk)

    @pytest.mark.parametrize(
        ("scope", "scope_id"),
        [*product(["GRAPH", "EXECUTION", "API_KEY"], ["", "nonsense", "another's"]), ("OWNER", "another's")],
    )
    def test_what_is_not_mine_can_not_be_limited(self, api, scope, scope_id):
        other = make_user()
        execution = make_execution(make_published([node("only", "test.source")], owner=other))
        anothers = {
            "GRAPH": str(execution.graph_id),
            "EXECUTION": str(execution.pk),
            "OWNER": str(other.pk),
            "API_KEY": str(keyring.issue(owner_id=other.pk, name="x", scopes=[Scope.GRAPHS_READ])[0].pk),
        }
        asked = anothers[scope] if scope_id == "another's" else scope_id

        answer = api.post(BUDGETS, {"scope": scope, "scope_id": asked, "limit_microcredits": 1})

        assert (answer.status_code, answer.data["code"]) == (422, "BUDGET_INVALID")

    def test_anothers_budget_is_not_there(self, api):
        other = make_user()
        at = f"{BUDGETS}{api_of(other).post(BUDGETS, {'scope': 'OWNER', 'limit_microcredits': 9}).data['id']}/"

        answers = [api.get(at), api.patch(at, {"limit_microcredits": 1}), api.delete(at)]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
        assert Budget.objects.get().limit_microcredits == 9

    @pytest.mark.parametrize("limit", [-1, 10**15 + 1, "NaN", 1.5])
    def test_a_limit_is_an_amount(self, api, limit):
        assert api.post(BUDGETS, {"scope": "OWNER", "limit_microcredits": limit}).status_code == 400


class TestStarting:
    def test_takes_a_budget_and_remembers_which_key_asked(self, user):
        version = make_published([node("only", "test.source")], owner=user)
        client = APIClient(headers={"Authorization": f"Bearer {make_key(user)}"})

        answer = client.post(
            "/api/v1/executions/", {"graph": version.graph_id, "budget_microcredits": 77}, format="json"
        )

        execution = Execution.objects.get(pk=answer.data["id"])
        assert execution.api_key == str(ApiKey.objects.get(owner=user).pk)
        budget = Budget.objects.get(scope="EXECUTION", scope_id=str(execution.pk))
        assert budget.limit_microcredits == 77


class TestAnEstimate:
    def estimate(self, api: APIClient, graph_id: Any, **asked: Any) -> Any:
        return api.get(f"/api/v1/graphs/{graph_id}/estimate/", asked)

    def test_goes_by_what_the_version_cost_before(self, api, user):
        version = make_published([node("only", "test.source")], owner=user)
        for cost in range(1, 21):
            execution = make_execution(version, status=Status.SUCCEEDED, cost_microcredits=cost)
            make_node_execution(execution, cost_microcredits=cost, started_at=now())
        make_execution(version, status=Status.FAILED, cost_microcredits=999)
        make_execution(version, status=Status.SUCCEEDED, cost_microcredits=999, retried_from_id=execution.pk)

        found = self.estimate(api, version.graph_id).data

        assert (found["basis"], found["executions"]) == ("version", 20)
        assert (found["cost"]["p50"]["microcredits"], found["cost"]["p95"]["microcredits"]) == (10, 19)
        (row,) = found["nodes"]
        assert (row["node"], row["executions"], row["cost"]["p95"]["microcredits"]) == ("only", 20, 19)

    def test_before_the_first_execution_it_goes_by_the_prices(self, api, user):
        version = make_published(
            [NodeSpec("ask", "llm-chat-block", {"prompt": "hello", "max_tokens": 100})], owner=user
        )

        found = self.estimate(api, version.graph_id, version=1).data

        assert (found["basis"], found["executions"]) == ("prices", 0)
        assert found["cost"]["p95"] == found["nodes"][0]["held"]
        assert found["nodes"][0]["held"]["microcredits"] > 0

    def test_anothers_graph_and_unknown_versions_are_not_there(self, api, user):
        mine = make_published([node("only", "test.source")], owner=user).graph_id

        assert self.estimate(api, make_published([node("only", "test.source")]).graph_id).status_code == 404
        assert self.estimate(api, mine, version=7).status_code == 404
        assert self.estimate(api, mine, version="x").status_code == 400
        assert self.estimate(api, "nonsense").status_code == 404
