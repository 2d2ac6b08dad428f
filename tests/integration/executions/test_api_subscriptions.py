"""The API of subscriptions: whose they are, where nothing may be sent, what is told of a secret, and what went out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from access.scopes import Scope
from agentplatform.lib.clock import now
from executions import own_subscriptions
from executions.models import OutgoingDelivery, Subscription
from tests.blocks import node
from tests.factories import make_key, make_published, make_user
from tests.outside import allow_only

pytestmark = pytest.mark.django_db

SUBSCRIPTIONS = "/api/v1/subscriptions/"
URL = "https://example.com/hook"


@pytest.fixture
def user():
    return make_user("ada")


@pytest.fixture
def api(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def subscription(user):
    return own_subscriptions.create(owner_id=user.pk, name="out", url=URL)[0]


def ask(**fields: Any) -> dict[str, Any]:
    return {"name": "out", "url": URL, **fields}


def at(subscription: Subscription, path: str = "") -> str:
    return f"{SUBSCRIPTIONS}{subscription.pk}/{path}"


def given_up(subscription: Subscription) -> OutgoingDelivery:
    delivery = own_subscriptions.ping(subscription)
    OutgoingDelivery.objects.filter(pk=delivery.pk).update(status="FAILED", next_at=None, ended_at=now())
    return delivery


class TestANewSubscription:
    def test_tells_its_secret_once(self, api, user):
        made = api.post(SUBSCRIPTIONS, ask(events=["execution", "approval.requested"]))

        assert made.status_code == 201
        secret = made.data["secret"]
        subscription = Subscription.objects.get()
        assert secret.startswith("whsec_")
        assert (subscription.owner_id, subscription.secret.reveal()) == (user.pk, secret)
        for answer in (api.get(SUBSCRIPTIONS), api.get(at(subscription)), api.patch(at(subscription), {"name": "x"})):
            assert answer.status_code == 200
            assert secret not in answer.content.decode()
        assert api.get(at(subscription)).data["secret_last4"] == secret[-4:]
        assert secret not in str(Subscription.objects.values_list("secret", flat=True))

    @pytest.mark.parametrize(
        ("fields", "status", "code", "where"),
        [
            ({"events": ["execution.exploded"]}, 422, "SUBSCRIPTION_INVALID", "events.0"),
            ({"events": ["ping"]}, 422, "SUBSCRIPTION_INVALID", "events.0"),
            ({"url": "http://example.com/hook"}, 422, "SUBSCRIPTION_INVALID", "url"),
            ({"url": "ftp://example.com/hook"}, 400, "URL_FORBIDDEN", "url"),
            ({"url": "https://ada:secret@example.com/"}, 400, "URL_FORBIDDEN", "url"),
            ({"url": "https://example.com:22/"}, 400, "URL_FORBIDDEN", "url"),
            ({"url": "hello"}, 400, "URL_FORBIDDEN", "url"),
            ({"graph": "01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9"}, 404, "GRAPH_NOT_FOUND", "graph"),
        ],
    )
    def test_is_refused_with_the_field_that_is_wrong(self, api, fields, status, code, where):
        answer = api.post(SUBSCRIPTIONS, ask(**fields))

        assert (answer.status_code, answer.data["code"], answer.data["path"]) == (status, code, where)
        assert Subscription.objects.count() == 0

    @pytest.mark.parametrize(
        "host",
        [
            "169.254.169.254",
            "metadata.google.internal",
            "2130706433",
            "0x7f.1",
            "localhost",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "10.0.0.1",
        ],
    )
    def test_leads_to_no_address_inside(self, api, monkeypatch, host):
        allow_only(monkeypatch)

        answer = api.post(SUBSCRIPTIONS, ask(url=f"https://{host}/hook"))

        assert (answer.status_code, answer.data["code"]) == (400, "URL_FORBIDDEN")

    def test_may_lead_inside_where_the_operator_allows_it(self, api, monkeypatch):
        allow_only(monkeypatch, "10.0.0.1:8080")

        assert api.post(SUBSCRIPTIONS, ask(url="http://10.0.0.1:8080/hook")).status_code == 201
        assert api.post(SUBSCRIPTIONS, ask(url="http://10.0.0.1:8081/hook")).status_code == 400

    def test_can_not_be_of_somebody_elses_graph(self, api):
        theirs = make_published([node("only", "test.source")])

        answer = api.post(SUBSCRIPTIONS, ask(graph=str(theirs.graph_id)))

        assert (answer.status_code, answer.data["code"]) == (404, "GRAPH_NOT_FOUND")

    def test_takes_nothing_that_is_not_asked_for(self, api):
        more = {"owner": make_user("bob").pk, "secret": "whsec_mine", "failures": 9, "id": str(UUID(int=1))}

        answer = api.post(SUBSCRIPTIONS, ask(**more))

        assert (answer.status_code, {one["path"] for one in answer.data["errors"]}) == (400, set(more))
        assert not Subscription.objects.exists()

    def test_is_one_of_so_many(self, api, settings):
        settings.AGENTPLATFORM_MAX_SUBSCRIPTIONS = 1
        assert api.post(SUBSCRIPTIONS, ask()).status_code == 201

        answer = api.post(SUBSCRIPTIONS, ask())

        assert (answer.status_code, answer.data["code"]) == (422, "SUBSCRIPTION_INVALID")

    def test_needs_a_key_that_says_so(self, user):
        reads = APIClient(headers={"Authorization": f"Bearer {make_key(user, Scope.SUBSCRIPTIONS_READ)}"})
        starts = APIClient(headers={"Authorization": f"Bearer {make_key(user, Scope.WEBHOOKS_WRITE)}"})

        assert reads.get(SUBSCRIPTIONS).status_code == 200
        assert reads.post(SUBSCRIPTIONS, ask(), format="json").status_code == 403
        assert starts.post(SUBSCRIPTIONS, ask(), format="json").status_code == 403


class TestASubscription:
    def test_is_changed_turned_off_and_on_and_removed(self, api, subscription):
        waiting = own_subscriptions.ping(subscription)

        off = api.patch(at(subscription), {"is_enabled": False, "events": ["approval"], "url": f"{URL}/two"})
        assert (off.data["is_enabled"], off.data["disabled_reason"]) == (False, "TURNED_OFF")
        assert (off.data["events"], off.data["url"]) == (["approval"], f"{URL}/two")
        assert off.data["disabled_at"]
        waiting.refresh_from_db()
        assert (waiting.status, waiting.error_code) == ("FAILED", "SUBSCRIPTION_DISABLED")
        for path in ("ping/", f"deliveries/{waiting.pk}/resend/"):
            refused = api.post(at(subscription, path))
            assert (refused.status_code, refused.data["code"]) == (409, "SUBSCRIPTION_DISABLED")

        on = api.patch(at(subscription), {"is_enabled": True})
        assert (on.data["is_enabled"], on.data["disabled_reason"], on.data["disabled_at"]) == (True, "", None)
        assert api.delete(at(subscription)).status_code == 204
        assert OutgoingDelivery.objects.count() == 0

    def test_is_for_one_graph_and_then_for_all(self, api, user, subscription):
        version = make_published([node("only", "test.source")], owner=user)

        assert api.patch(at(subscription), {"graph": str(version.graph_id)}).data["graph_name"] == version.graph.name
        assert api.patch(at(subscription), {"graph": None}).data["graph"] is None

    def test_refuses_a_change_that_a_new_one_would_be_refused_for(self, api, subscription):
        assert api.patch(at(subscription), {"url": "https://127.0.0.2/"}).status_code == 400
        assert api.patch(at(subscription), {"events": ["x"]}).status_code == 422
        subscription.refresh_from_db()
        assert (subscription.url, subscription.events) == (URL, [])

    def test_gets_another_secret(self, api, subscription):
        before = subscription.secret.reveal()

        changed = api.post(at(subscription, "rotate/"), {})

        subscription.refresh_from_db()
        assert subscription.secret.reveal() == changed.data["secret"] != before
        assert subscription.secrets_at(now()) == [changed.data["secret"], before]
        assert changed.data["previous_secret_until"]
        api.post(at(subscription, "rotate/"), {"overlap_s": 0})
        subscription.refresh_from_db()
        assert len(subscription.secrets_at(now())) == 1

    def test_is_tried(self, api, subscription):
        answer = api.post(at(subscription, "ping/"))

        assert (answer.status_code, answer.data["event"], answer.data["status"]) == (202, "ping", "PENDING")
        assert answer.data["payload"]["data"]["subscription"] == str(subscription.pk)


class TestWhatWentOut:
    def test_is_listed_page_by_page_and_found(self, api, subscription):
        made = [own_subscriptions.ping(subscription) for _ in range(3)]
        failed = given_up(subscription)

        first = api.get(at(subscription, "deliveries/"), {"page_size": 3})
        second = api.get(first.data["next"])

        ids = [one["id"] for one in [*first.data["results"], *second.data["results"]]]
        assert ids == [str(failed.pk), *[str(one.pk) for one in reversed(made)]]
        assert "payload" not in first.data["results"][0]
        found = api.get(at(subscription, "deliveries/"), {"status": "FAILED", "event": "ping"}).data["results"]
        assert [one["id"] for one in found] == [str(failed.pk)]
        assert api.get(at(subscription, "deliveries/"), {"event": "execution.failed"}).data["results"] == []

    def test_is_shown_whole(self, api, subscription):
        delivery = own_subscriptions.ping(subscription)

        shown = api.get(at(subscription, f"deliveries/{delivery.pk}/")).data

        assert (shown["payload"]["type"], shown["log"], shown["attempts"]) == ("ping", [], 0)

    def test_is_sent_once_more_one_or_all(self, api, subscription):
        first, second = given_up(subscription), given_up(subscription)

        one = api.post(at(subscription, f"deliveries/{first.pk}/resend/"))
        rest = api.post(at(subscription, "resend/"), {"since": (now() - timedelta(hours=1)).isoformat()})

        assert (one.status_code, one.data["status"]) == (202, "PENDING")
        assert (rest.status_code, rest.data) == (202, {"deliveries": 1})
        second.refresh_from_db()
        assert second.status == "PENDING"
        assert api.post(at(subscription, "resend/"), {}).status_code == 400

    def test_of_one_is_not_found_at_another(self, api, user, subscription):
        other, _ = own_subscriptions.create(owner_id=user.pk, name="other", url=URL)
        delivery = own_subscriptions.ping(subscription)

        assert api.get(at(other, f"deliveries/{delivery.pk}/")).status_code == 404


def test_nothing_of_it_can_be_asked_for_without_a_key_to_keep_secrets_under(api, settings):
    settings.AGENTPLATFORM_ENCRYPTION_KEYS = []

    answer = api.post(SUBSCRIPTIONS, ask())

    assert (answer.status_code, answer.data["code"]) == (503, "ENCRYPTION_KEYS_MISSING")
