"""What is due, and lists of what went out, are read from indexes, as far as somebody looks: proved by EXPLAIN."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from executions import own_subscriptions, statements
from executions.models import OutgoingDelivery, Subscription
from tests.factories import make_user
from tests.integration.executions.test_webhook_indexes import looked_at, most_rows

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

DELIVERIES, FEW = 50_000, 120
GENERATE = """
INSERT INTO executions_outgoingdelivery (
    id, subscription_id, event, subject_id, payload, hops, status, attempts, tries, next_at, begun_at, error_code, error_message, answer,
    log, created_at, ended_at
)
SELECT (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7' || left(md5(n::text), 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
       CASE WHEN n %% 1000 = 0 THEN %(calm)s ELSE %(flood)s END::uuid,
       'ping', gen_random_uuid(), '{}', 1, CASE WHEN n %% 2 = 0 THEN 'PENDING' ELSE 'DELIVERED' END, 0, 0,
       CASE WHEN n %% 2 = 0 THEN now() - interval '1 minute' END, now(), '', '', '', '[]', now(), CASE WHEN n %% 2 = 1 THEN now() END
FROM generate_series(1, %(count)s::bigint) AS n
"""


@pytest.fixture
def subscriptions() -> list[Subscription]:
    made = [
        own_subscriptions.create(owner_id=make_user().pk, name="out", url="https://example.com/")[0] for _ in range(2)
    ]
    with connection.cursor() as cursor:
        cursor.execute(GENERATE, {"flood": made[0].pk, "calm": made[1].pk, "count": DELIVERIES})
        cursor.execute("ANALYZE executions_outgoingdelivery")
    return made


def explained(sql: str, values: Any = None) -> int:
    """Return how many rows the busiest step looks at."""
    with statements.cursor() as cursor:
        cursor.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + sql.encode(), values)
        (plan,) = cursor.fetchone() or ([],)
    return most_rows(plan[0]["Plan"])


def test_a_flood_of_what_is_due_is_not_read_through(subscriptions):
    sql = statements._statement("outgoing_claim").decode()
    limits = {"limit": 200, "per_subscription": 10, "per_owner": 40, "lease": timedelta(seconds=45)}

    assert explained(sql, limits) <= FEW


def test_the_newest_of_one_and_of_all_are_found_at_once(subscriptions):
    root = Client()
    root.force_login(get_user_model().objects.create_superuser("reader-of-what-went-out"))
    asked: list[Any] = [lambda: root.get(reverse("admin:executions_outgoingdelivery_changelist"))]
    for subscription in subscriptions:
        api = APIClient()
        api.force_authenticate(subscription.owner)
        asked.append(lambda api=api, at=f"/api/v1/subscriptions/{subscription.pk}/deliveries/": api.get(at))

    for call in asked:
        assert looked_at(call, OutgoingDelivery) <= FEW
