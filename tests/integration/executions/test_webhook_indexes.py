"""Lists of many deliveries are read from indexes, as far as somebody looks: proved by EXPLAIN."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from executions.models import Delivery
from tests.webhooks import Sender, make_sender

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

DELIVERIES, PAGE = 50_000, 50
FEW = 2 * (PAGE + 10)

# The flood has all but one in a thousand; nothing was ignored lately.
GENERATE = """
INSERT INTO executions_delivery (
    id, webhook_id, key, is_named, digest, event, status, reason, message, payload, headers, size_bytes, hops, received_at
)
SELECT (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7' || left(md5(n::text), 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
       CASE WHEN n %% 1000 = 0 THEN %(calm)s ELSE %(flood)s END::uuid,
       'id:' || n, true, md5(n::text), 'push', 'IGNORED', 'GREETING', '', '{}', '{}', 2, 0, to_timestamp(1700000000 + n)
FROM generate_series(1, %(count)s::bigint) AS n
"""


@pytest.fixture
def senders() -> tuple[Sender, Sender]:
    flood, calm = make_sender(), make_sender()
    with connection.cursor() as cursor:
        cursor.execute(GENERATE, {"flood": flood.webhook.pk, "calm": calm.webhook.pk, "count": DELIVERIES})
        cursor.execute("ANALYZE executions_delivery")
    return flood, calm


def most_rows(plan: dict[str, Any]) -> int:
    """Return how many rows the busiest step of a plan has looked at."""
    own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return max([own, *(most_rows(child) for child in plan.get("Plans", []))])


def looked_at(call: Any, model: type[Model] = Delivery) -> int:
    """Return how many deliveries the statements of a call look at."""
    with CaptureQueriesContext(connection) as captured:
        assert call().status_code == 200
    asked = [query["sql"] for query in captured if f'FROM "{model._meta.db_table}"' in query["sql"]]
    assert asked
    rows = 0
    for sql in asked:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
            (found,) = cursor.fetchone()
        plan = json.loads(found) if isinstance(found, str) else found
        rows = max(rows, most_rows(plan[0]["Plan"]))
    return rows


def test_the_newest_of_a_webhook_are_found_at_once(senders):
    for sender in senders:
        api = APIClient()
        api.force_authenticate(sender.webhook.owner)
        path = f"/api/v1/webhooks/{sender.webhook.pk}/deliveries/"

        assert looked_at(lambda api=api, path=path: api.get(path)) <= FEW


def test_the_newest_of_all_are_found_at_once(senders):
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("reader-of-deliveries"))

    assert looked_at(lambda: client.get(reverse("admin:executions_delivery_changelist"))) <= FEW


def test_a_repeated_one_is_found_at_once(senders):
    flood, _ = senders
    found = Delivery.objects.filter(webhook_id=flood.webhook.pk, key="id:25001")

    plan = json.loads(found.explain(format="json", analyze=True))[0]["Plan"]

    assert most_rows(plan) == 1
