"""What has very many things with it is deleted in the console piece by piece, not in one transaction."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.urls import reverse

from executions import own_subscriptions, own_webhooks
from executions.models import Delivery, OutgoingDelivery, Subscription, Webhook
from tests.factories import make_user
from tests.webhooks import make_listener

pytestmark = pytest.mark.django_db(transaction=True)

MANY, AT_ONCE = 7, 3


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: Any) -> None:
    for services in (own_subscriptions, own_webhooks):
        monkeypatch.setattr(services, "AT_ONCE", AT_ONCE)


def make_webhook() -> Webhook:
    webhook, _ = own_webhooks.create(graph=make_listener("text").graph, name="many")
    for number in range(MANY):
        Delivery.objects.create(
            webhook=webhook, key=str(number), digest="d", status="IGNORED", payload={}, size_bytes=2
        )
    return webhook


def make_subscription() -> Subscription:
    subscription, _ = own_subscriptions.create(owner_id=make_user().pk, name="many", url="https://example.com/")
    for _ in range(MANY):
        own_subscriptions.ping(subscription)
    return subscription


@pytest.mark.parametrize(("make", "along"), [(make_webhook, Delivery), (make_subscription, OutgoingDelivery)])
def test_is_deleted_piece_by_piece(admin_client, make, along):
    thing, pieces = make(), []
    table = along._meta.db_table

    def watch(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith(f'DELETE FROM "{table}"'):
            count = context["cursor"].rowcount
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_current_xact_id()::text")
                pieces.append((count, cursor.fetchone()))
        return result

    with connection.execute_wrapper(watch):
        answer = admin_client.post(
            reverse(f"admin:executions_{thing._meta.model_name}_delete", args=[thing.pk]), {"post": "yes"}
        )

    assert answer.status_code == 302
    assert not type(thing).objects.exists()
    assert not along.objects.exists()
    assert sum(count for count, _ in pieces) == MANY
    assert max(count for count, _ in pieces) == AT_ONCE
    assert len({transaction for count, transaction in pieces if count}) == -(-MANY // AT_ONCE)
