"""The console's pages of money: everything is seen, and what is moved goes through the services, once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from access.models import ApiKey
from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from executions import ledger
from executions.models import Account, Budget, LedgerEntry, TokenPrice
from tests.blocks import node
from tests.factories import make_execution, make_key, make_published, make_user

pytestmark = pytest.mark.django_db

MODELS = ("account", "ledgerentry", "budget", "tokenprice")


@pytest.fixture
def owner():
    return make_user("ann")


def at(model: str, what: str = "changelist", *args: object) -> str:
    return reverse(f"admin:executions_{model}_{what}", args=args)


def text_of(response) -> str:
    assert response.status_code == 200
    return response.content.decode()


class TestLooking:
    def test_accounts_show_what_owners_have(self, admin_client, owner):
        ledger.grant(owner.pk, 1_250_000, key="k")
        ledger.set_overdraft(owner.pk, 0)
        account = Account.objects.get(owner=owner, kind="CREDIT")

        for page in (at("account"), at("account", "change", account.pk)):
            assert "ann" in text_of(admin_client.get(page))
            assert "$1.25" in text_of(admin_client.get(page))
        assert admin_client.get(at("account", "add")).status_code == 403

    def test_budgets_name_what_they_are_for_and_lead_there(self, admin_client, owner, django_assert_max_num_queries):
        graph = make_published([node("only", "test.source")], owner=owner).graph
        execution = make_execution(graph.versions.get())
        make_key(owner)
        key = ApiKey.objects.get()
        things = {"OWNER": owner, "GRAPH": graph, "API_KEY": key, "EXECUTION": execution}
        for scope, thing in things.items():
            Budget.objects.create(owner=owner, scope=scope, scope_id=str(thing.pk), limit_microcredits=5)

        with django_assert_max_num_queries(14):
            text = text_of(admin_client.get(at("budget")))

        for thing in things.values():
            page = reverse(f"admin:{thing._meta.app_label}_{thing._meta.model_name}_change", args=[thing.pk])
            assert f'href="{page}">{thing}</a>' in text

    @pytest.mark.parametrize(
        ("scope", "period", "told"),
        [("OWNER", "NONE", "Owner ann, all together"), ("API_KEY", "DAY", "API key test, each day")],
    )
    def test_a_budget_says_whose_it_is_in_words(self, admin_client, owner, scope, period, told):
        make_key(owner)
        of = owner if scope == "OWNER" else ApiKey.objects.get()
        budget = Budget.objects.create(
            owner=owner, scope=scope, scope_id=str(of.pk), period=period, limit_microcredits=5
        )

        assert f"{told} | Change budget" in text_of(admin_client.get(at("budget", "change", budget.pk)))
        assert told in text_of(admin_client.get(at("budget", "delete", budget.pk)))
        answer = admin_client.post(at("budget", "change", budget.pk), {"limit": "2"}, follow=True)
        assert told in text_of(answer)

    def test_a_budget_of_what_is_gone_says_so(self, admin_client, owner):
        gone = uuid7()
        budget = Budget.objects.create(owner=owner, scope="GRAPH", scope_id=str(gone), limit_microcredits=5)

        for page in (at("budget"), at("budget", "change", budget.pk)):
            assert f"{gone} (gone)" in text_of(admin_client.get(page))

    def test_entries_are_found_by_owner_and_shown_whole_but_never_changed(self, admin_client, owner):
        entry = ledger.grant(owner.pk, 5, key="k", note="for a start")
        ledger.grant(make_user("bob").pk, 7, key="k")

        found = text_of(admin_client.get(at("ledgerentry"), {"q": "ann"}))
        page = text_of(admin_client.get(at("ledgerentry", "change", entry.pk)))

        assert "$0.000005" in found
        assert "$0.000007" not in found
        assert "for a start" in page
        assert 'name="_save"' not in page
        assert admin_client.post(at("ledgerentry", "change", entry.pk), {}).status_code == 403
        assert admin_client.post(at("ledgerentry", "delete", entry.pk), {"post": "yes"}).status_code == 403

    def test_an_entry_of_a_firing_says_what_it_was_for_and_folds_away_what_only_developers_need(
        self, admin_client, owner
    ):
        fence, execution_id = 77, uuid7()
        charged = {
            "execution_id": execution_id,
            "root_id": execution_id,
            "node_key": "ask",
            "item_path": [0],
            "fence": fence,
        }
        entry = LedgerEntry.objects.create(
            kind="WRITE_OFF", debit_id=3, credit_id=5, amount_microcredits=5, owner=owner, attempt=1, **charged
        )

        told, folded = text_of(admin_client.get(at("ledgerentry", "change", entry.pk))).split("Technical")

        assert "Write off of $0.000005 | View ledger entry" in told
        assert "ask" in told
        assert "#1" in told
        assert "Fence" not in told
        assert str(fence) in folded

    @pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
    def test_entries_are_exported_as_they_are_searched(self, admin_client, owner):
        ledger.grant(owner.pk, 5, key="k")
        ledger.grant(make_user("bob").pk, 7, key="k")

        answer = admin_client.get(at("ledgerentry") + "export/", {"q": "ann"})

        lines = b"".join(answer).decode().splitlines()
        assert len(lines) == 2
        assert ",ann," in lines[1]

    def test_prices_say_which_are_in_force(self, admin_client):
        day = timedelta(days=1)
        for model, begins in (("old", now() - 2 * day), ("old", now() - day), ("old", now() + day)):
            TokenPrice.objects.create(
                provider="probe", model=model, input_microcredits=150_000, output_microcredits=1, valid_from=begins
            )

        page = text_of(admin_client.get(at("tokenprice"), {"q": "probe"}))

        assert "$0.15" in page
        assert [page.count(f">{word}<") or page.count(word) for word in ("to come", "before")] != [0, 0]


class TestMovingMoney:
    def give(self, client, **changed):
        form = {"owner": "ann", "what": "GRANT", "amount": "2.5", "note": "", "key": "console-1"} | changed
        return client.post(at("ledgerentry", "add"), form)

    def test_an_operator_gives_credit_once_however_often_it_is_sent(self, admin_client, admin_user, owner):
        assert 'name="key"' in text_of(admin_client.get(at("ledgerentry", "add"), {"owner": "ann"}))

        assert self.give(admin_client).status_code == 302
        assert self.give(admin_client).status_code == 302

        (entry,) = LedgerEntry.objects.all()
        assert (entry.owner, entry.amount_microcredits, entry.by, entry.kind) == (owner, 2_500_000, admin_user, "GRANT")
        assert ledger.balance_of(owner.pk).credit_microcredits == 2_500_000

    def test_an_adjustment_may_take(self, admin_client, owner):
        ledger.grant(owner.pk, 5_000_000, key="k")

        self.give(admin_client, what="ADJUSTMENT", amount="-1")

        assert ledger.balance_of(owner.pk).credit_microcredits == 4_000_000

    @pytest.mark.parametrize(
        "wrong", [{"owner": "nobody"}, {"amount": "-1"}, {"amount": "0"}, {"amount": "1e99"}, {"what": "SETTLE"}]
    )
    def test_what_can_not_be_moved_is_said_on_the_form(self, admin_client, owner, wrong):
        page = text_of(self.give(admin_client, **wrong))

        assert "errorlist" in page or "Please correct" in page
        assert not LedgerEntry.objects.exists()

    def test_the_overdraft_is_set_and_lifted(self, admin_client, owner):
        ledger.grant(owner.pk, 5, key="k")
        page = at("account", "change", Account.objects.get(owner=owner, kind="CREDIT").pk)

        for given, kept in (("0.5", 500_000), ("", None), ("0", 0)):
            assert admin_client.post(page, {"overdraft": given}).status_code == 302
            assert ledger.balance_of(owner.pk).overdraft_microcredits == kept

    def test_who_may_only_look_moves_nothing(self, client, owner):
        looker = make_user("looker")
        looker.is_staff = True
        looker.save()
        views = [f"view_{model}" for model in MODELS]
        looker.user_permissions.set(Permission.objects.filter(codename__in=views, content_type__app_label="executions"))
        client.force_login(looker)
        ledger.grant(owner.pk, 5, key="k")
        account = Account.objects.get(owner=owner, kind="CREDIT")

        for model in MODELS:
            text_of(client.get(at(model)))
            assert client.get(at(model, "add")).status_code == 403
        assert "Overdraft" in text_of(client.get(at("account", "change", account.pk)))
        assert client.post(at("account", "change", account.pk), {"overdraft": "0"}).status_code == 403
        assert self.give(client).status_code == 403
        assert ledger.balance_of(owner.pk).overdraft_microcredits is None


class TestBudgetsAndPrices:
    def test_a_budget_is_set_changed_and_lifted(self, admin_client, owner):
        form = {"owner": "ann", "scope": "OWNER", "scope_id": "", "period": "DAY", "limit": "1.5"}
        assert admin_client.post(at("budget", "add"), form).status_code == 302
        budget = Budget.objects.get()
        assert (budget.limit_microcredits, budget.period, budget.scope_id) == (1_500_000, "DAY", str(owner.pk))
        assert "$1.50" in text_of(admin_client.get(at("budget")))

        assert admin_client.post(at("budget", "change", budget.pk), {"limit": "2"}).status_code == 302
        budget.refresh_from_db()
        assert budget.limit_microcredits == 2_000_000

        assert admin_client.post(at("budget", "delete", budget.pk), {"post": "yes"}).status_code == 302
        assert not Budget.objects.exists()

    def test_of_what_is_not_the_owners_it_is_refused_on_the_form(self, admin_client, owner):
        form = {"owner": "ann", "scope": "GRAPH", "scope_id": "nonsense", "period": "NONE", "limit": "1"}

        assert "You have no such graph" in text_of(admin_client.post(at("budget", "add"), form))

    def test_a_price_is_set_for_the_time_to_come_and_can_be_taken_back_until_then(self, admin_client):
        form = {
            "provider": "probe",
            "model": "m",
            "given": "0.15",
            "cached": "0.075",
            "made": "0.6",
            "note": "read today",
        }
        assert admin_client.post(at("tokenprice", "add"), form).status_code == 302

        price = TokenPrice.objects.get(provider="probe")
        assert (price.input_microcredits, price.cached_microcredits, price.output_microcredits) == (
            150_000,
            75_000,
            600_000,
        )
        assert price.valid_from > now()
        assert admin_client.post(at("tokenprice", "delete", price.pk), {"post": "yes"}).status_code == 302

    def test_a_price_in_force_stays(self, admin_client):
        price = TokenPrice.objects.create(
            provider="probe", model="m", input_microcredits=1, output_microcredits=1, valid_from=now()
        )

        assert 'name="_save"' not in text_of(admin_client.get(at("tokenprice", "change", price.pk)))
        assert admin_client.post(at("tokenprice", "delete", price.pk), {"post": "yes"}).status_code == 403

    def test_what_can_not_be_a_price_is_said_on_the_form(self, admin_client):
        form = {"provider": "probe", "model": "a*b", "given": "1", "cached": "2", "made": "1"}

        assert "all that begin alike" in text_of(admin_client.post(at("tokenprice", "add"), form))
