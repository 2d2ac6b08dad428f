"""What workers do again and again reads the rows it is about and no others, however many run: proved by EXPLAIN.

Each statement is planned once on a connection, by statistics from a quiet hour when nothing ran; then thousands run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import cycle
from typing import Any

import pytest
from django.db import connection, transaction
from psycopg import sql

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from executions import leases, statements
from executions.engine.status import NodeStatus, Status
from executions.leases import Claim, Wanted
from executions.models import Execution, NodeExecution
from executions.plans import plan_of
from graphs.models import GraphVersion
from tests.blocks import node
from tests.factories import claim_all, make_ended, make_execution, make_node_execution, make_published
from tests.integration.executions.test_indexes import rows_read, steps_of

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

OWNERS = 10
ENDED = 10_000
RUNNING = 2_000
#: Three firings of one execution: each looked for where it is, and once more by what follows from it.
FEW = 20
OURS = ("a", "b", "c")


@pytest.fixture(scope="module")
def claims(django_db_setup: None, django_db_blocker: Any) -> Iterator[list[Claim]]:
    """Three firings that a worker has claimed, among thousands that the planner knows nothing of."""
    whole = transaction.atomic()
    whole._from_testcase = True  # as around any test, so that what must be outermost may stand in it
    with django_db_blocker.unblock(), whole:
        versions = [make_published([node(key, "test.source") for key in OURS]) for _ in range(OWNERS)]
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            _fill(versions, ENDED, status=Status.SUCCEEDED, firing=NodeStatus.SUCCEEDED)
            cursor.execute("ANALYZE executions_execution, executions_nodeexecution")
            parents = _fill(versions, RUNNING, status=Status.RUNNING, firing=NodeStatus.RUNNING)
            _fill(versions, RUNNING, status=Status.RUNNING, firing=NodeStatus.RUNNING, parents=parents)
        claims = claim_all(make_execution(versions[0]), [Wanted(key, (), {}) for key in OURS], worker="w1")
        for claim in claims:
            child = make_execution(
                versions[1],
                status=Status.RUNNING,
                parent_id=claim.execution_id,
                root_id=claim.execution_id,
                parent_node=claim.node_key,
            )
            make_node_execution(child, "a", status=NodeStatus.RUNNING, fence=1, worker="others")
        yield claims
        transaction.set_rollback(True)


def _fill(
    versions: list[GraphVersion], count: int, *, status: Status, firing: NodeStatus, parents: Sequence[Execution] = ()
) -> list[Execution]:
    ended_at = None if status is Status.RUNNING else now()
    executions = [
        Execution(
            graph_id=version.graph_id,
            version=version,
            owner_id=version.graph.owner_id,
            status=status,
            started_at=now(),
            ended_at=ended_at,
            parent_id=parents[number].pk if parents else None,
            root_id=parents[number].pk if parents else None,
            parent_node="a" if parents else "",
        )
        for number, version in zip(range(count), cycle(versions), strict=False)
    ]
    Execution.objects.bulk_create(executions, batch_size=1000)
    NodeExecution.objects.bulk_create(
        [
            NodeExecution(
                execution_id=execution.pk,
                node_key="a",
                status=firing,
                fence=number,
                worker="others",
                lease_expires_at=None if ended_at else now() + timedelta(hours=1),
                ended_at=ended_at,
            )
            for number, execution in enumerate(executions, start=1)
        ],
        batch_size=1000,
    )
    return executions


def rows_read_by(name: str, **values: Any) -> int:
    """Run a statement as it is planned for any values; return how many rows of tables it looked at. Nothing of it stays."""
    text = (statements.SQL / f"{name}.sql").read_text(encoding="utf-8")
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", text)))
    for number, value in enumerate(names, start=1):
        text = text.replace(f"%({value})s", f"${number}")
    given = sql.SQL(", ").join(sql.Literal(values[value]) for value in names)
    with transaction.atomic(), statements.cursor() as cursor:
        cursor.execute(f"PREPARE hot AS {text}".encode())
        cursor.execute(sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE hot ({})").format(given))
        ((found,),) = cursor.fetchall()
        cursor.execute("DEALLOCATE hot")
        transaction.set_rollback(True)
    steps = steps_of(found[0]["Plan"])
    return sum(rows_read(step) for step in steps if step.get("Relation Name", "").startswith("executions_"))


class TestFirings:
    def test_are_settled(self, claims):
        assert rows_read_by("settle", ended=ended(claims)) <= FEW

    @pytest.mark.parametrize("statement", ["blame", "expire", "vouch"])
    def test_are_spoken_for(self, claims, statement):
        assert rows_read_by(statement, claims=records(claims)) <= FEW

    def test_are_renewed(self, claims):
        assert rows_read_by("renew", claims=records(claims), lease=leases.lease()) <= FEW

    def test_are_renewed_without_a_write_to_any_index(self, claims):
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT i.indexrelid::regclass::text
                FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
                WHERE i.indrelid = 'executions_nodeexecution'::regclass AND a.attname = 'lease_expires_at'
                """
            )
            assert cursor.fetchall() == []

    def test_are_handed_back(self, claims):
        assert rows_read_by("hand_back", claims=records(claims), pause=timedelta(seconds=1)) <= FEW

    def test_are_claimed(self, claims):
        firings = [one.as_record() | {"id": str(uuid7()), "mark": 1, "inputs": {}} for one in claims]
        values = {"lease": leases.lease(), "worker": "w1", "is_relaxed": True, "suspected": 2}

        read = rows_read_by("claim", ids=[claims[0].execution_id], firings=statements.records(firings), **values)

        assert read <= FEW


class TestExecutions:
    @pytest.mark.parametrize("statement", ["look", "stand", "callers"])
    def test_are_looked_at(self, claims, statement):
        assert rows_read_by(statement, ids=[claims[0].execution_id]) <= FEW

    def test_advance(self, claims):
        error = {"error_code": "", "error_message": "", "error_hint": "", "error_node": ""}
        values = {"execution_id": claims[0].execution_id, "segments": [0], "mark": "", "is_failing": False}

        assert rows_read_by("advance", **values, **error) <= FEW

    def test_finish(self, claims):
        end = {"execution_id": str(claims[0].execution_id), "status": "SUCCEEDED", "outputs": {}, "segments": [0]}

        assert rows_read_by("finish", finished=statements.records([end])) <= FEW

    @pytest.mark.parametrize("statement", ["children", "family", "cancel_rows"])
    def test_are_followed(self, claims, statement):
        assert rows_read_by(statement, ids=[claims[0].execution_id]) <= FEW


class TestSubGraphs:
    @pytest.mark.parametrize("statement", ["child_costs", "child_unfinished", "caller_failures"])
    def test_are_looked_at(self, claims, statement):
        callers = [
            {"parent_id": str(one.execution_id), "parent_node": one.node_key, "parent_path": one.path} for one in claims
        ]

        assert rows_read_by(statement, callers=statements.records(callers)) <= FEW

    def test_wake_their_parents(self, claims):
        children = list(Execution.objects.filter(parent_id=claims[0].execution_id).values_list("pk", flat=True))

        assert rows_read_by("wake_parents", children=children) <= FEW

    def test_are_begun(self, claims):
        version = Execution.objects.get(pk=claims[0].execution_id).version
        calls = [
            {
                "id": str(uuid7()),
                "parent_id": str(claim.execution_id),
                "parent_node": claim.node_key,
                "parent_path": claim.path,
                "fence": claim.fence,
                "call_key": "k",
                "graph_id": str(version.graph_id),
                "version_id": str(version.pk),
                "inputs": {},
                "plan_mark": "",
                "place": place,
            }
            for place, claim in enumerate(claims)
        ]

        assert (
            rows_read_by(
                "begin_children", calls=statements.records(calls), parents=[claims[0].execution_id], limit=1000
            )
            <= FEW
        )


def records(claims: list[Claim]) -> str:
    return statements.records([claim.as_record() for claim in claims])


def ended(claims: list[Claim]) -> str:
    plan = plan_of(Execution.objects.get(pk=claims[0].execution_id).version_id)
    return statements.records([make_ended(plan, claim).as_record(str(claim.execution_id)) for claim in claims])
