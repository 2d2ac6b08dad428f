"""What is asked for at the same moment as something is removed, revoked or changed: it is done or refused, and undoes nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from rest_framework.test import APIClient

from access import keyring
from access.models import ApiKey
from executions import own_schedules, own_subscriptions, own_webhooks
from executions.models import Delivery, Fire, Schedule, Webhook
from integrations import services as credentials
from integrations.errors import CredentialInvalid
from integrations.models import Credential
from tests.blocks import node
from tests.factories import make_key, make_published, make_user
from tests.integration.executions.races import at_once
from tests.keys import make_credential, new_secret
from tests.webhooks import make_listener, make_sender

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner() -> Any:
    return make_user()


def client_of(owner: Any) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {make_key(owner)}"}, raise_request_exception=False)


def test_a_schedule_that_is_removed_while_much_else_is_asked_of_it(owner):
    version = make_published([node("only", "test.source")], owner=owner)
    client = client_of(owner)
    for _ in range(3):
        schedule = own_schedules.create(graph=version.graph, name="s", kind="cron", cron="@daily")
        at = f"/api/v1/schedules/{schedule.pk}/"
        asks = [
            *[lambda at=at: client.delete(at)] * 4,
            *[lambda at=at: client.post(f"{at}fire/")] * 3,
            *[lambda at=at: client.post(f"{at}pause/")] * 2,
            lambda at=at: client.patch(at, {"name": "t"}, format="json"),
        ]

        answers = at_once(len(asks), lambda number, asks=asks: asks[number]().status_code)

        assert {status for status in answers if status not in (200, 202, 204, 404)} == set()
        assert not Schedule.objects.exists()
        assert not Fire.objects.exists()


def test_a_webhook_that_is_removed_while_something_comes(owner):
    client = client_of(owner)
    for _ in range(3):
        sender = make_sender(make_listener("payload", owner=owner))
        at = f"/api/v1/webhooks/{sender.webhook.pk}/"

        def ask(number: int, at: str = at, sender: Any = sender) -> int:
            if number < 3:
                return int(client.delete(at).status_code)
            return int(sender.send({"n": number}, delivery_id=f"d{number}").status_code)

        statuses = Counter(at_once(12, ask))

        assert set(statuses) <= {202, 204, 401, 404}
        assert not Webhook.objects.exists()
        assert not Delivery.objects.exists()


@pytest.mark.parametrize("what", ["webhooks", "subscriptions"])
def test_what_is_removed_while_it_is_given_another_secret(owner, what):
    client, version = client_of(owner), make_published([node("only", "test.source")], owner=owner)
    made, _ = (
        own_webhooks.create(graph=version.graph, name="w")
        if what == "webhooks"
        else own_subscriptions.create(owner_id=owner.pk, name="o", url="https://example.com/hook")
    )
    at = f"/api/v1/{what}/{made.pk}/"

    answers = at_once(
        8,
        lambda number: (
            (client.delete(at) if number < 2 else client.post(f"{at}rotate/", {}, format="json")).status_code
        ),
    )

    assert set(answers) <= {200, 204, 404}


class TestAKey:
    def test_stays_revoked_whoever_changes_it_just_then(self, owner):
        text = make_key(owner)
        read_before = ApiKey.objects.get()
        keyring.revoke(ApiKey.objects.get())

        keyring.update(read_before, name="y", scopes=["graphs:read"])

        assert (ApiKey.objects.get().name, ApiKey.objects.get().revoked_at is not None) == ("y", True)
        assert keyring.find(text, address="") is None

    def test_stays_replaced_whoever_changes_it_just_then(self, owner):
        make_key(owner)
        read_before, now = ApiKey.objects.get(), ApiKey.objects.get()
        text = keyring.rotate(now)

        keyring.update(read_before, name="y", scopes=["graphs:read"])

        assert keyring.find(text, address="") is not None


class TestACredential:
    def test_stays_revoked_whoever_changes_it_just_then(self, owner):
        read_before = make_credential(owner, new_secret())
        credentials.revoke(Credential.objects.get())

        credentials.update(read_before, name="y")

        assert Credential.objects.get().revoked_at is not None

    def test_stays_removed_whoever_changes_it_just_then(self, owner):
        read_before = make_credential(owner, new_secret())
        credentials.remove(Credential.objects.get())

        with pytest.raises(Credential.DoesNotExist):
            credentials.update(read_before, name="y")

        assert not Credential.objects.exists()

    def test_is_not_sent_elsewhere_by_two_changes_that_are_harmless_each(self, owner):
        made = make_credential(owner, new_secret(), base_url="https://good.example/v1", allowed_hosts=["good.example"])
        one, other = Credential.objects.get(), Credential.objects.get()
        credentials.update(one, base_url="https://evil.example/v1")

        with pytest.raises(CredentialInvalid):
            credentials.update(other, allowed_hosts=[])

        assert credentials.hosts_for(Credential.objects.get(pk=made.pk)) == {"good.example"}
