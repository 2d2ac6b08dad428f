"""A ledger of many entries is read from indexes, as far as somebody looks: proved by EXPLAIN."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AbstractUser
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from executions import ledger, reports
from executions.engine.money import AccountKind, account_id
from executions.estimates import estimate
from executions.models import LedgerEntry
from graphs.models import GraphVersion
from tests.blocks import node
from tests.factories import make_execution, make_published, make_user

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

ENTRIES = 200_000
PAGE = 50
FEW = 2 * (PAGE + 10)
BEGAN, ENDED = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 9, 28, tzinfo=UTC)

# Half of all are of one owner, and one in ten thousand of his is no firing's; nineteen share the rest.
GENERATE = """
INSERT INTO executions_ledgerentry (
    kind, debit_id, credit_id, amount_microcredits, owner_id, execution_id, root_id, graph_id, node_key, item_path, fence, key, note,
    created_at
)
SELECT CASE WHEN n %% 20000 = 0 THEN 'TOP_UP' WHEN n %% 4 < 2 THEN 'HOLD' ELSE 'SETTLE' END,
       whose.owner_id * 8 + 1, %(revenue)s, 7,
       whose.owner_id,
       md5(n::text)::uuid, md5(n::text)::uuid, md5((n %% 5)::text)::uuid, 'ask', '{}', n, '', '',
       %(began)s + (%(ended)s - %(began)s) * n / %(count)s
FROM generate_series(1, %(count)s::bigint) AS n
CROSS JOIN LATERAL (
    SELECT CASE WHEN n %% 2 = 0 THEN %(flood)s ELSE (%(others)s::int[])[1 + n / 2 %% cardinality(%(others)s::int[])] END AS owner_id
) AS whose
"""


@dataclass(frozen=True)
class Many:
    """Who has how much of the ledger."""

    admin: AbstractUser
    flood: AbstractUser
    other: AbstractUser


@pytest.fixture(scope="module")
def many(django_db_setup: None, django_db_blocker: Any) -> Iterator[Many]:
    """A ledger of nine months; it goes with the transaction, so nothing is left to be cleaned."""
    whole = transaction.atomic()
    whole._from_testcase = True  # as around any test, so that what must be outermost may stand in it
    with django_db_blocker.unblock(), whole:
        flood, others, admin = make_user(), [make_user() for _ in range(19)], make_user("reader-of-ledgers")
        admin.is_staff = admin.is_superuser = True
        admin.save()
        for user in (flood, *others):
            ledger.grant(user.pk, 1, key="first")
        values = {
            "revenue": account_id(AccountKind.REVENUE),
            "flood": flood.pk,
            "others": [other.pk for other in others],
            "count": ENTRIES,
        }
        with connection.cursor() as cursor:
            cursor.execute(GENERATE, values | {"began": BEGAN, "ended": ENDED})
            cursor.execute("ANALYZE executions_ledgerentry")
            # As docs/operations.md asks for, whatever server this is.
            cursor.execute("SET LOCAL random_page_cost = 1.1")
        yield Many(admin, flood, others[0])
        transaction.set_rollback(True)


def explained(captured: CaptureQueriesContext, table: str) -> list[dict[str, Any]]:
    """Run the captured statements about a table again and return the steps over it, with what each did."""
    about = [query["sql"] for query in captured.captured_queries if f'"{table}"' in query["sql"]]
    assert about
    scans = []
    with connection.cursor() as cursor:
        for sql in about:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql)
            (found,) = cursor.fetchone()
            steps = steps_of((found if isinstance(found, list) else json.loads(found))[0]["Plan"])
            scans += [step for step in steps if step.get("Relation Name", "").startswith(table)]
    return scans


def steps_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from steps_of(part)


def rows_read(scans: list[dict[str, Any]]) -> int:
    """Return how many rows were looked at, whether they were kept or not."""
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return sum(
        round((step["Actual Rows"] + sum(step.get(by, 0) for by in removed)) * step["Actual Loops"]) for step in scans
    )


def of_api(user: AbstractUser, query: str = "") -> list[dict[str, Any]]:
    client = APIClient()
    client.force_authenticate(user)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(f"/api/v1/ledger/{query}").status_code == 200
    return explained(captured, LedgerEntry._meta.db_table)


class TestLists:
    def test_the_newest_of_an_owner_are_a_page(self, many):
        for user in (many.flood, many.other):
            assert rows_read(of_api(user)) <= FEW

    def test_what_was_topped_up_is_found_among_very_many(self, many):
        assert rows_read(of_api(many.flood, "?kind=TOP_UP")) <= FEW

    def test_the_entries_of_an_execution_are_few(self, many):
        execution_id = LedgerEntry.objects.filter(owner=many.flood).order_by("-id")[7].execution_id

        assert rows_read(of_api(many.flood, f"?execution={execution_id}")) <= FEW

    def test_a_balance_is_two_rows_however_much_was_moved(self, many):
        client = APIClient()
        client.force_authenticate(many.flood)
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/api/v1/ledger/balance/").status_code == 200

        assert [query["sql"] for query in captured.captured_queries if LedgerEntry._meta.db_table in query["sql"]] == []

    def test_the_console_lists_a_page(self, many):
        client = Client()
        client.force_login(many.admin)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(reverse("admin:executions_ledgerentry_changelist")).status_code == 200

        assert rows_read(explained(captured, LedgerEntry._meta.db_table)) <= FEW


class TestReports:
    def test_an_owner_reads_what_was_used_in_the_span_and_no_more(self, many):
        span = reports.Span.of(ENDED - timedelta(days=3), ENDED)

        with CaptureQueriesContext(connection) as captured:
            rows = reports.used(reports.By.DAY, span, owner_id=many.flood.pk)
        scans = explained(captured, LedgerEntry._meta.db_table)

        assert 3 <= len(rows) <= 4
        assert rows_read(scans) == sum(row["charges"] for row in rows) < ENTRIES / 100

    def test_of_everybody_only_the_blocks_of_the_span_are_read(self, many):
        span = reports.Span.of(ENDED - timedelta(days=3), ENDED)

        with CaptureQueriesContext(connection) as captured:
            reports.used(reports.By.GRAPH, span)

        assert rows_read(explained(captured, LedgerEntry._meta.db_table)) < ENTRIES / 10


class TestEstimates:
    def test_looks_through_the_latest_executions_of_the_graph_only(self):
        version: GraphVersion = make_published([node("only", "test.source")])
        for _ in range(3):
            make_execution(version, status="SUCCEEDED", cost_microcredits=5)

        with CaptureQueriesContext(connection) as captured:
            found = estimate(version.pk)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
        scans = explained(captured, "executions_execution")

        assert found.executions == 3
        assert {step["Node Type"] for step in scans} <= {"Index Scan", "Index Only Scan"}
