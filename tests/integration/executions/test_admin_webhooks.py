"""The console's pages of webhooks: a secret is shown once, what came is seen, and nothing that a sender wrote is code."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from executions.models import Delivery, Execution, Webhook
from tests.factories import make_user
from tests.webhooks import SECRET, Sender, make_listener, make_sender

pytestmark = pytest.mark.django_db

HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def console() -> Client:
    return console_of(get_user_model().objects.create_superuser("root"))


def console_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def staff(*permissions: str) -> Any:
    user = make_user()
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def at(model: str, what: str = "changelist", *args: object) -> str:
    return reverse(f"admin:executions_{model}_{what}", args=args)


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def asked(graph_id: Any, **fields: Any) -> dict[str, Any]:
    return {"graph": graph_id, "name": "Orders", "scheme": "generic", "is_enabled": "on", "mapping": "{}", **fields}


class TestANewWebhook:
    def test_shows_its_secret_once(self, console):
        version = make_listener("payload")

        page = text_of(console.post(at("webhook", "add"), asked(version.graph_id, events="push\n\nissues")))

        webhook = Webhook.objects.get()
        secret = webhook.secret.reveal()
        assert secret in page
        assert f"http://testserver/webhooks/{webhook.pk}" in page
        assert (webhook.owner_id, webhook.events) == (version.graph.owner_id, ["push", "issues"])
        for again in (at("webhook"), at("webhook", "change", webhook.pk), at("webhook", "history", webhook.pk)):
            assert secret not in text_of(console.get(again))
        assert secret not in str(list(LogEntry.objects.values()))

    def test_is_asked_for_again_with_what_is_wrong(self, console):
        version = make_listener("payload")

        page = text_of(console.post(at("webhook", "add"), asked(version.graph_id, scheme="stripe")))
        other = text_of(console.post(at("webhook", "add"), asked(version.graph_id, mapping='{"x": "/a"}')))
        third = text_of(console.post(at("webhook", "add"), asked(version.graph_id, mapping="[1]")))

        assert "is made by its sender" in page
        assert "has no input" in other
        assert "Give an object of texts." in third
        assert Webhook.objects.count() == 0

    def test_takes_the_secret_of_its_sender(self, console):
        version = make_listener("payload")

        console.post(at("webhook", "add"), asked(version.graph_id, scheme="slack", own_secret=SECRET))

        assert Sender(Webhook.objects.get(), SECRET).send({}).status_code == 202


class TestAWebhook:
    def test_is_changed_without_its_secret(self, console):
        sender = make_sender()
        change = {"name": "Other", "events": "push", "mapping": json.dumps({"payload": "/a"})}

        saved = console.post(at("webhook", "change", sender.webhook.pk), change)

        webhook = Webhook.objects.get()
        assert saved.status_code == 302
        assert (webhook.name, webhook.events, webhook.mapping, webhook.is_enabled) == (
            "Other",
            ["push"],
            {"payload": "/a"},
            False,
        )
        assert webhook.secret == sender.webhook.secret

    def test_gets_another_secret_by_a_button(self, console):
        sender = make_sender()

        page = text_of(console.post(at("webhook", "rotate", sender.webhook.pk)))

        assert Webhook.objects.get().secret.reveal() in page
        assert sender.send({}).status_code == 202  # for another day
        assert console.get(at("webhook", "rotate", sender.webhook.pk)).status_code == 405

    def test_is_left_alone_by_who_may_only_look(self):
        sender = make_sender()
        onlooker = console_of(staff("view_webhook"))

        assert onlooker.get(at("webhook", "change", sender.webhook.pk)).status_code == 200
        assert onlooker.get(at("webhook", "add")).status_code == 403
        assert onlooker.post(at("webhook", "rotate", sender.webhook.pk)).status_code == 403
        assert onlooker.post(at("webhook", "change", sender.webhook.pk), {"name": "x"}).status_code == 403

    def test_is_found(self, console):
        sender = make_sender()
        make_sender(make_listener("payload", owner=make_user("bob")))

        for term in (str(sender.webhook.pk), sender.webhook.owner.username):
            page = text_of(console.get(at("webhook"), {"q": term}))
            assert re.findall(r"/webhook/([0-9a-f-]{36})/change", page)[:1] == [str(sender.webhook.pk)]
            assert "bob" not in page


class TestADelivery:
    @pytest.fixture
    def delivery(self) -> Delivery:
        sender = make_sender()
        sent = sender.send({"event": HOSTILE, "text": HOSTILE}, delivery_id="order-1", headers={"User-Agent": HOSTILE})
        assert sent.status_code == 202
        return Delivery.objects.get()

    def test_shows_what_came_and_what_became_of_it(self, console, delivery):
        page = text_of(console.get(at("delivery", "change", delivery.pk)))

        assert "order-1" in page
        assert at("execution", "change", delivery.execution_id) in page
        assert HOSTILE not in page

    def test_is_listed_and_found(self, console, delivery):
        for term in ("", "order-1", str(delivery.pk), str(delivery.execution_id), str(delivery.webhook_id)):
            page = text_of(console.get(at("delivery"), {"q": term}))
            assert at("delivery", "change", delivery.pk) in page
            assert HOSTILE not in page
        assert at("delivery", "change", delivery.pk) not in text_of(console.get(at("delivery"), {"q": "none"}))

    def test_is_started_once_more_by_a_button(self, console, delivery):
        shown = console.post(at("delivery", "replay", delivery.pk), follow=True)

        assert "an earlier one" in text_of(shown)
        assert Execution.objects.count() == 2

    def test_is_not_started_by_a_link_nor_by_who_may_only_look(self, console, delivery):
        onlooker = console_of(staff("view_delivery"))

        assert console.get(at("delivery", "replay", delivery.pk)).status_code == 405
        assert onlooker.post(at("delivery", "replay", delivery.pk)).status_code == 403
        assert "Replay" not in text_of(onlooker.get(at("delivery", "change", delivery.pk)))
        assert Execution.objects.count() == 1

    def test_is_never_changed(self, console, delivery):
        assert console.get(at("delivery", "add")).status_code == 403
        assert console.post(at("delivery", "change", delivery.pk), {}).status_code == 403
        assert console.post(at("delivery", "delete", delivery.pk), {"post": "yes"}).status_code == 403
