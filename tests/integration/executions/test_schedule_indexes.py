"""What is due, and what became of the last times, is read from indexes among many: proved by EXPLAIN."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from executions import schedules
from executions.models import Schedule
from tests.integration.executions.test_webhook_indexes import most_rows
from tests.schedules import make_schedule

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

SCHEDULES, FIRES, PAGE = 5_000, 50_000, 50
FEW = 2 * (PAGE + 10)

# All of one owner and graph, due in a year.
MANY_SCHEDULES = """
INSERT INTO executions_schedule (
    id, owner_id, graph_id, name, kind, cron, every_s, at, timezone, inputs, priority, jitter_s, catch_up, max_catch_up, overlap, is_paused,
    pause_reason, next_fire_at, due_at, created_at
)
SELECT gen_random_uuid(), owner_id, graph_id, name, kind, cron, every_s, at, timezone, inputs, priority, jitter_s,
       catch_up, max_catch_up, overlap, n %% 2 = 0, pause_reason, next_fire_at + interval '1 year', due_at + interval '1 year', created_at
FROM executions_schedule, generate_series(1, %(count)s::bigint) AS n WHERE id = %(like)s
"""
# Long ago, all but one in a thousand of one schedule, all missed.
MANY_FIRES = """
INSERT INTO executions_fire (id, schedule_id, fire_at, is_manual, status, reason, message, created_at)
SELECT (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7' || left(md5(n::text), 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
       CASE WHEN n %% 1000 = 0 THEN %(calm)s ELSE %(flood)s END::uuid, to_timestamp(1700000000 + n), false, 'MISSED', '', '', now()
FROM generate_series(1, %(count)s::bigint) AS n
"""


@pytest.fixture
def made() -> tuple[Schedule, Schedule]:
    flood, calm = make_schedule(overlap="skip"), make_schedule()
    with connection.cursor() as cursor:
        cursor.execute(MANY_SCHEDULES, {"count": SCHEDULES, "like": flood.pk})
        cursor.execute(MANY_FIRES, {"count": FIRES, "flood": flood.pk, "calm": calm.pk})
        cursor.execute("ANALYZE executions_schedule, executions_fire")
    return flood, calm


def looked_at(call: Any) -> int:
    """Return how many schedules or times the busiest statement of a call looks at."""
    with CaptureQueriesContext(connection) as captured:
        call()
    asked = [query["sql"] for query in captured if query["sql"].startswith("SELECT") and "executions_" in query["sql"]]
    rows = 0
    for sql in asked:
        if "executions_fire" in sql or "executions_schedule" in sql:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
                (found,) = cursor.fetchone()
            plan = json.loads(found) if isinstance(found, str) else found
            rows = max(rows, most_rows(plan[0]["Plan"]))
    return rows


def test_nothing_that_is_not_due_is_looked_at(made):
    assert looked_at(schedules.fire_due) == 0


def test_whether_something_runs_is_found_among_what_was_missed(made):
    flood, _ = made
    assert flood.due_at is not None

    assert looked_at(lambda: schedules.fire_due(flood.due_at)) <= FEW
    assert flood.fires.filter(status="FIRED").count() == 1


def test_the_last_times_of_a_schedule_are_found_at_once(made):
    for schedule in made:
        api = APIClient()
        api.force_authenticate(schedule.owner)

        assert looked_at(lambda api=api, id_=schedule.pk: api.get(f"/api/v1/schedules/{id_}/fires/")) <= FEW


def test_the_last_of_all_are_found_at_once(made):
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("reader-of-times"))

    assert looked_at(lambda: client.get(reverse("admin:executions_fire_changelist"))) <= FEW
