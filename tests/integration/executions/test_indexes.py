"""The newest-first lists of a million executions are read from indexes, a page at a time, whoever asks: proved by EXPLAIN."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from agentplatform.lib.clock import now
from agentplatform.lib.partitions import ensure_months
from executions.models import Execution
from graphs.models import GraphVersion
from tests.blocks import node
from tests.factories import make_published

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

EXECUTIONS = 1_000_000
MONTHS = 3
PAGE = 50
#: A page, one more to see whether there is another, and what each partition offers for the merge; twice that is still few.
FEW = 2 * (PAGE + 10)

# Half of all are of one owner, another had a tenth of the first weeks and has been still since, one has the oldest ten, and nineteen
# share the rest. An eleventh have failed, a thousandth wait.
GENERATE = """
INSERT INTO executions_execution (
    id, graph_id, version_id, owner_id, status, parent_node, parent_path, call_key, depth, priority, inputs, outputs, segments_done,
    plan_mark, is_stopping, is_paused, error_code, error_message, error_hint, error_node, input_tokens, output_tokens,
    cost_microcredits, created_at, launched_at, launches, started_at, ended_at
)
SELECT (lpad(to_hex(born.ms), 12, '0') || '7' || left(md5(n::text), 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
       v.graph_id, v.id, g.owner_id, chosen.status, '', '{}', '', 0, 0, '{"text": "a question"}', '{"answer": "an answer of some length"}',
       '{0,1,2}', '', false, false, '', '', '', '', 10, 5, 7,
       to_timestamp(born.ms / 1000.0), now(), 1, now(), CASE chosen.status WHEN 'WAITING' THEN NULL ELSE now() END
FROM generate_series(0, %(count)s::bigint - 1) AS n
CROSS JOIN LATERAL (SELECT %(first_ms)s + n * %(step_ms)s AS ms) AS born
CROSS JOIN LATERAL (
    SELECT CASE WHEN n < 10 THEN 1 WHEN n %% 2 = 0 THEN 2 WHEN n %% 5 = 0 AND n < %(count)s / 5 THEN 3
                ELSE 4 + n / 2 %% (cardinality(%(versions)s::uuid[]) - 3) END AS place,
           CASE WHEN n %% 997 = 0 THEN 'WAITING' WHEN n %% 11 = 0 THEN 'FAILED' ELSE 'SUCCEEDED' END AS status
) AS chosen
JOIN graphs_graphversion AS v ON v.id = (%(versions)s::uuid[])[chosen.place]
JOIN graphs_graph AS g ON g.id = v.graph_id
"""


@dataclass(frozen=True)
class Million:
    """Who has how much of a million executions."""

    admin: AbstractUser
    #: Ten executions, the oldest of all.
    first: AbstractUser
    #: Half of all.
    flood: AbstractUser
    flood_version: GraphVersion
    #: A tenth of the first weeks, and none since.
    still: AbstractUser
    #: One of nineteen.
    other: AbstractUser


@pytest.fixture(scope="module")
def million(django_db_setup: None, django_db_blocker: Any) -> Iterator[Million]:
    """A million executions in three months before this one; the tables go with the transaction, so nothing is left to be cleaned."""
    whole = transaction.atomic()
    whole._from_testcase = True  # as around any test, so that what must be outermost may stand in it
    with django_db_blocker.unblock(), whole:
        versions = [make_published([node("only", "test.source")])]
        with connection.cursor() as cursor:
            # Of tables that small, autovacuum may have counted the first row and none of those that follow.
            cursor.execute("ANALYZE auth_user, graphs_graph, graphs_graphversion")
        versions += [make_published([node("only", "test.source")]) for _ in range(21)]
        this_month = now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        first = (this_month - timedelta(days=27 * MONTHS)).replace(day=1)
        begin_ms, end_ms = (int(moment.timestamp() * 1000) for moment in (first, this_month))
        values = {
            "first_ms": begin_ms,
            "step_ms": (end_ms - begin_ms) // EXECUTIONS,
            "count": EXECUTIONS,
            "versions": [version.pk for version in versions],
        }
        with connection.cursor() as cursor:
            ensure_months(cursor, "executions_execution", key="id", start=first, count=MONTHS)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            # Foreign keys of rows made of existing ones need not be asked for a million times.
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(GENERATE, values)
            cursor.execute("SET LOCAL session_replication_role = origin")
            cursor.execute("ANALYZE executions_execution")
            # As docs/operations.md asks for, whatever server this is.
            cursor.execute("SET LOCAL random_page_cost = 1.1")
        yield Million(
            admin=get_user_model().objects.create_superuser("reader-of-lists"),
            first=versions[0].graph.owner,
            flood=versions[1].graph.owner,
            flood_version=versions[1],
            still=versions[2].graph.owner,
            other=versions[-1].graph.owner,
        )
        transaction.set_rollback(True)


def of_api(user: AbstractUser, query: str = "") -> list[dict[str, Any]]:
    """Ask the API for a list; return the statements that read executions."""
    client = APIClient()
    client.force_authenticate(user)
    with CaptureQueriesContext(connection) as captured:
        response = client.get(f"/api/v1/executions/{query}")
    assert response.status_code == 200
    assert response.data["results"]
    return explained(captured)


def of_console(user: AbstractUser, query: str = "") -> list[dict[str, Any]]:
    """Open a list in the console; return the statements that read executions."""
    client = Client()
    client.force_login(user)
    with CaptureQueriesContext(connection) as captured:
        response = client.get(reverse("admin:executions_execution_changelist") + query)
    assert response.status_code == 200
    assert response.context["cl"].result_list
    return explained(captured)


def explained(captured: CaptureQueriesContext) -> list[dict[str, Any]]:
    """Run the captured statements about executions again and return their plans, with what each step did."""
    about = [query["sql"] for query in captured.captured_queries if f'"{Execution._meta.db_table}"' in query["sql"]]
    assert about
    assert [sql for sql in about if "COUNT(" in sql] == []
    plans = []
    with connection.cursor() as cursor:
        for sql in about:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql)
            (found,) = cursor.fetchone()
            plans.append((found if isinstance(found, list) else json.loads(found))[0]["Plan"])
    return plans


def steps_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from steps_of(part)


def rows_read(step: dict[str, Any]) -> int:
    """Return how many rows a step looked at, whether it kept them or not."""
    seen = step["Actual Rows"] + sum(step.get(f"Rows Removed by {by}", 0) for by in ("Filter", "Index Recheck"))
    return round(seen * step["Actual Loops"])


def assert_reads_a_page(plans: list[dict[str, Any]], *, times: int = 1) -> None:
    """Find only steps over few rows, or so many times few, and no table of executions read but through an index."""
    steps = [step for plan in plans for step in steps_of(plan)]
    scans = [step for step in steps if step.get("Relation Name", "").startswith(Execution._meta.db_table)]

    assert sum(map(rows_read, scans)) <= times * FEW
    assert {step["Node Type"] for step in scans if rows_read(step)} <= {"Index Scan", "Index Only Scan"}
    assert max(map(rows_read, steps)) <= times * FEW


class TestApi:
    def test_lists_the_newest_of_an_owner_of_half_of_all(self, million):
        assert_reads_a_page(of_api(million.flood))

    def test_lists_the_newest_of_one_owner_among_many(self, million):
        assert_reads_a_page(of_api(million.other))

    def test_lists_all_of_an_owner_whose_executions_are_the_oldest(self, million):
        assert_reads_a_page(of_api(million.first))

    def test_lists_the_newest_of_an_owner_who_has_been_still_for_long(self, million):
        assert_reads_a_page(of_api(million.still))
        assert_reads_a_page(of_api(million.still, "?status=FAILED"))

    @pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "WAITING"])
    def test_lists_the_newest_of_an_owner_by_status(self, million, status):
        assert_reads_a_page(of_api(million.flood, f"?status={status}"))

    def test_lists_the_newest_of_a_graph(self, million):
        assert_reads_a_page(of_api(million.flood, f"?graph={million.flood_version.graph_id}"))

    def test_lists_a_page_in_the_middle(self, million):
        middle = Execution.objects.order_by("-id")[EXECUTIONS // 2]

        plans = of_api(million.flood, f"?created_before={middle.created_at:%Y-%m-%dT%H:%M:%SZ}")

        assert_reads_a_page(plans)


class TestConsole:
    def test_lists_the_newest_of_all(self, million):
        assert_reads_a_page(of_console(million.admin))

    @pytest.mark.parametrize(("status", "of"), [("SUCCEEDED", 1), ("FAILED", 11)])
    def test_lists_the_newest_of_all_by_status(self, million, status, of):
        # No index begins with the status: where one in so many has it, so many are passed over for each.
        assert_reads_a_page(of_console(million.admin, f"?status__exact={status}"), times=of)

    def test_lists_a_later_page(self, million):
        assert_reads_a_page(of_console(million.admin, "?p=2"), times=2)
