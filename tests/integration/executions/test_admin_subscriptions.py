"""The console's pages of subscriptions: a secret is shown once, what went out is seen, and nothing that a receiver wrote is code."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from agentplatform.lib.clock import now
from executions import own_subscriptions
from executions.models import Delivery, OutgoingDelivery, Subscription, Webhook
from tests.factories import make_user
from tests.integration.executions.test_admin_webhooks import console_of, staff, text_of
from tests.webhooks import make_listener, make_sender

pytestmark = pytest.mark.django_db

HOSTILE = "</script><img src=x onerror=alert(1)>"
URL = "https://example.com/hook"


@pytest.fixture
def console() -> Client:
    from django.contrib.auth import get_user_model

    return console_of(get_user_model().objects.create_superuser("root"))


@pytest.fixture
def subscription() -> Subscription:
    return own_subscriptions.create(owner_id=make_user("ada").pk, name=HOSTILE, url=URL)[0]


def at(model: str, what: str = "changelist", *args: object) -> str:
    return reverse(f"admin:executions_{model}_{what}", args=args)


def asked(owner_id: int, **fields: Any) -> dict[str, Any]:
    return {"owner": owner_id, "name": "Pager", "url": URL, "events": "", "graph": "", "is_enabled": "on", **fields}


class TestANewSubscription:
    def test_shows_its_secret_once(self, console):
        owner = make_user()

        page = text_of(console.post(at("subscription", "add"), asked(owner.pk, events="execution.failed\n\napproval")))

        subscription = Subscription.objects.get()
        secret = subscription.secret.reveal()
        assert secret in page
        assert (subscription.owner_id, subscription.events) == (owner.pk, ["execution.failed", "approval"])
        for again in (
            at("subscription"),
            at("subscription", "change", subscription.pk),
            at("subscription", "history", subscription.pk),
        ):
            assert secret not in text_of(console.get(again))
        assert secret not in str(list(LogEntry.objects.values()))

    def test_is_asked_for_again_with_what_is_wrong(self, console):
        owner = make_user()
        theirs = make_listener("payload")

        for fields, told in (
            ({"url": "https://169.254.169.254/"}, "is not on the public internet"),
            ({"url": "http://example.com/"}, "over https only"),
            ({"events": "explosion"}, "There is no event"),
            ({"graph": str(theirs.graph_id)}, "not a graph of its owner"),
        ):
            assert told in text_of(console.post(at("subscription", "add"), asked(owner.pk, **fields)))
        assert Subscription.objects.count() == 0


class TestASubscription:
    def test_is_changed_and_turned_off(self, console, subscription):
        changed = console.post(
            at("subscription", "change", subscription.pk), {"name": "Other", "url": f"{URL}/2", "events": "approval"}
        )

        subscription.refresh_from_db()
        assert changed.status_code == 302
        assert (subscription.name, subscription.url, subscription.events) == ("Other", f"{URL}/2", ["approval"])
        assert subscription.disabled_reason == "TURNED_OFF"
        assert "It was turned off." in text_of(console.get(at("subscription", "change", subscription.pk)))

    def test_is_tried_and_gets_another_secret_by_buttons(self, console, subscription):
        console.post(at("subscription", "do", subscription.pk, "ping"))
        page = text_of(console.post(at("subscription", "rotate", subscription.pk)))

        subscription.refresh_from_db()
        assert subscription.secret.reveal() in page
        assert OutgoingDelivery.objects.get().event == "ping"
        assert console.get(at("subscription", "rotate", subscription.pk)).status_code == 405
        assert console.get(at("subscription", "do", subscription.pk, "ping")).status_code == 405
        assert console.post(at("subscription", "do", subscription.pk, "burn")).status_code == 404

    def test_sends_once_more_what_has_failed_by_a_button(self, console, subscription):
        delivery = own_subscriptions.ping(subscription)
        OutgoingDelivery.objects.update(status="FAILED", next_at=None, ended_at=now())

        shown = text_of(console.post(at("subscription", "do", subscription.pk, "resend"), follow=True))

        delivery.refresh_from_db()
        assert "1 that were given up" in shown
        assert delivery.status == "PENDING"

    def test_is_left_alone_by_who_may_only_look(self, subscription):
        onlooker = console_of(staff("view_subscription"))

        page = text_of(onlooker.get(at("subscription", "change", subscription.pk)))
        assert URL in page
        assert HOSTILE not in page
        assert onlooker.get(at("subscription", "add")).status_code == 403
        for path in (
            at("subscription", "rotate", subscription.pk),
            at("subscription", "do", subscription.pk, "ping"),
            at("subscription", "change", subscription.pk),
            at("subscription", "delete", subscription.pk),
        ):
            assert onlooker.post(path, {"name": "x", "post": "yes"}).status_code == 403

    def test_is_found_and_says_how_it_stands(self, console, subscription):
        other, _ = own_subscriptions.create(owner_id=make_user("bob").pk, name="Bob's", url=URL)
        Subscription.objects.filter(pk=subscription.pk).update(failures=2)

        for term in (str(subscription.pk), "ada"):
            page = text_of(console.get(at("subscription"), {"q": term}))
            assert re.findall(r"/subscription/([0-9a-f-]{36})/change", page)[:1] == [str(subscription.pk)]
            assert str(other.pk) not in page
            assert "not heard" in page
            assert HOSTILE not in page

    def test_is_removed_with_what_it_was_told(self, console, subscription):
        own_subscriptions.ping(subscription)

        assert "outgoing deliveries: 1" in text_of(console.get(at("subscription", "delete", subscription.pk))).lower()
        console.post(at("subscription", "delete", subscription.pk), {"post": "yes"})

        assert Subscription.objects.count() == OutgoingDelivery.objects.count() == 0


class TestWhatWentOut:
    @pytest.fixture
    def delivery(self, subscription) -> OutgoingDelivery:
        made = own_subscriptions.ping(subscription)
        OutgoingDelivery.objects.update(
            answer=HOSTILE,
            error_message=HOSTILE,
            error_code="RECEIVER_REFUSED",
            status_code=500,
            log=[{"at": now().isoformat(), "status_code": 500, "error_code": "RECEIVER_REFUSED", "seconds": 0.1}],
        )
        return made

    def test_shows_what_was_told_and_answered(self, console, delivery):
        page = text_of(console.get(at("outgoingdelivery", "change", delivery.pk)))

        assert "RECEIVER_REFUSED" in page
        assert "0.1 s" in page
        assert "alert(1)" in page
        assert HOSTILE not in page

    def test_stands_on_the_page_of_the_subscription(self, console, delivery):
        page = text_of(console.get(at("subscription", "change", delivery.subscription_id)))

        assert at("outgoingdelivery", "change", delivery.pk) in page
        assert HOSTILE not in page

    def test_is_listed_and_found(self, console, delivery):
        for term in ("", "ping", str(delivery.pk), str(delivery.subscription_id)):
            page = text_of(console.get(at("outgoingdelivery"), {"q": term}))
            assert at("outgoingdelivery", "change", delivery.pk) in page
            assert HOSTILE not in page
        assert at("outgoingdelivery", "change", delivery.pk) not in text_of(
            console.get(at("outgoingdelivery"), {"q": "none"})
        )

    def test_is_sent_once_more_by_a_button_and_by_nobody_else(self, console, delivery):
        onlooker = console_of(staff("view_outgoingdelivery"))
        path = at("outgoingdelivery", "resend", delivery.pk)

        assert onlooker.post(path).status_code == 403
        assert "Resend" not in text_of(onlooker.get(at("outgoingdelivery", "change", delivery.pk)))
        assert console.get(path).status_code == 405
        assert "sent once more" in text_of(console.post(path, follow=True))

    def test_says_so_where_the_subscription_is_off(self, console, delivery):
        own_subscriptions.update(delivery.subscription, is_enabled=False)

        page = text_of(console.post(at("outgoingdelivery", "resend", delivery.pk), follow=True))

        assert "Turn it on first." in page

    def test_is_never_changed(self, console, delivery):
        assert console.get(at("outgoingdelivery", "add")).status_code == 403
        assert console.post(at("outgoingdelivery", "change", delivery.pk), {}).status_code == 403
        assert console.post(at("outgoingdelivery", "delete", delivery.pk), {"post": "yes"}).status_code == 403


def test_a_webhook_is_removed_with_what_came_to_it(console):
    sender = make_sender()
    assert sender.send({"a": 1}).status_code == 202

    assert "deliveries: 1" in text_of(console.get(at("webhook", "delete", sender.webhook.pk))).lower()
    console.post(at("webhook", "delete", sender.webhook.pk), {"post": "yes"})

    assert Webhook.objects.count() == Delivery.objects.count() == 0
