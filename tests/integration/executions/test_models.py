"""What the database itself refuses, whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import product

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, connection, transaction

from agentplatform.lib.clock import now
from executions.engine.status import FINAL, FROM_HERE, NODE_FINAL, NODE_FROM_HERE, NodeStatus, Status
from executions.models import Execution, NodeExecution
from tests.factories import make_execution, make_node_execution, make_user

pytestmark = pytest.mark.django_db


def refused(change: Callable[[], object], *, by: str) -> bool:
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        change()
    return refusal.value.__cause__.diag.constraint_name == by  # type: ignore[union-attr]


def run(sql: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


class TestExecution:
    @pytest.mark.parametrize(("here", "to"), list(product(Status, Status)))
    def test_moves_exactly_where_the_life_cycle_allows(self, here, to):
        execution = make_execution(status=here)

        moved = Execution.objects.filter(pk=execution.pk).move(to, ended_at=now())

        assert moved == (to in FROM_HERE[here])
        assert Execution.objects.get(pk=execution.pk).status == (to if moved else here)

    @pytest.mark.parametrize("status", sorted(FINAL))
    @pytest.mark.parametrize(
        "change",
        ["status = 'RUNNING'", "outputs = '{\"a\": 1}'", "cost_microcredits = 1", "error_code = 'X'", "id = id"],
    )
    def test_that_has_ended_can_not_change_by_any_statement(self, status, change):
        execution = make_execution(status=status)

        assert refused(
            lambda: run(f"UPDATE executions_execution SET {change} WHERE id = %s", execution.pk), by="terminal_is_final"
        )

    def test_that_has_ended_can_not_be_saved_over(self):
        execution = make_execution(status=Status.SUCCEEDED)

        execution.status = Status.FAILED

        assert refused(execution.save, by="terminal_is_final")

    def test_has_a_known_status(self):
        execution = make_execution()

        change = lambda: run("UPDATE executions_execution SET status = 'LOST' WHERE id = %s", execution.pk)  # noqa: E731

        assert refused(change, by="an_execution_has_a_known_status")

    @pytest.mark.parametrize("status", sorted(FINAL))
    def test_does_not_end_without_a_time(self, status):
        execution = Execution.objects.filter(pk=make_execution(status=Status.RUNNING).pk)

        assert refused(lambda: execution.update(status=status), by="a_final_execution_has_ended")

    def test_costs_nothing_or_more(self):
        execution = Execution.objects.filter(pk=make_execution().pk)

        assert refused(lambda: execution.update(cost_microcredits=-1), by="an_execution_costs_nothing_or_more")

    def test_is_shown_to_its_owner_only(self):
        owner, other = make_user(), make_user()
        execution = make_execution(owner_id=owner.pk)

        assert list(Execution.objects.owned_by(owner)) == [execution]
        assert not Execution.objects.owned_by(other).exists()
        assert not Execution.objects.owned_by(AnonymousUser()).exists()

    def test_that_is_unfinished_can_be_asked_for(self):
        executions = [make_execution(status=status) for status in Status]

        unfinished = {execution.status for execution in executions} - FINAL

        assert set(Execution.objects.unfinished().values_list("status", flat=True)) == unfinished

    def test_has_lasted_from_its_first_node_to_its_end(self):
        execution = make_execution(started_at=now())

        assert execution.duration is None
        execution.ended_at = execution.started_at + timedelta(seconds=2)
        assert execution.duration == timedelta(seconds=2)


class TestNodeExecution:
    @pytest.mark.parametrize(("here", "to"), list(product(NodeStatus, NodeStatus)))
    def test_moves_exactly_where_the_life_cycle_allows(self, here, to):
        row = make_node_execution(make_execution(), status=here)

        moved = NodeExecution.objects.filter(pk=row.pk).move(to, ended_at=now())

        assert moved == (to in NODE_FROM_HERE[here])

    @pytest.mark.parametrize("status", sorted(NODE_FINAL))
    @pytest.mark.parametrize("change", ["status = 'RUNNING'", "outputs = '{\"a\": [1]}'", "fence = 9", "id = id"])
    def test_that_has_ended_can_not_change_by_any_statement(self, status, change):
        row = make_node_execution(make_execution(), status=status)

        assert refused(
            lambda: run(f"UPDATE executions_nodeexecution SET {change} WHERE id = %s", row.pk), by="terminal_is_final"
        )

    @pytest.mark.parametrize("path", [[], [0], [1, -1]])
    def test_fires_once_at_a_path(self, path):
        execution = make_execution()
        make_node_execution(execution, item_path=path)

        with pytest.raises(IntegrityError, match="execution_id, node_key, item_path"), transaction.atomic():
            make_node_execution(execution, item_path=path)

    def test_fires_at_other_paths_and_in_other_executions(self):
        execution, other = make_execution(), make_execution()

        rows = [make_node_execution(execution, item_path=path) for path in ([], [0], [0, 0])]

        assert len({row.pk for row in [*rows, make_node_execution(other)]}) == 4

    def test_does_not_end_without_a_time(self):
        row = make_node_execution(make_execution(), status=NodeStatus.RUNNING)

        change = lambda: NodeExecution.objects.filter(pk=row.pk).update(status=NodeStatus.SKIPPED)  # noqa: E731

        assert refused(change, by="a_final_firing_has_ended")

    def test_costs_nothing_or_more(self):
        execution = make_execution()

        with pytest.raises(IntegrityError, match="a_firing_costs_nothing_or_more"), transaction.atomic():
            make_node_execution(execution, cost_microcredits=-1)

    @pytest.mark.parametrize(("path", "shown"), [([], ""), ([0], "#1"), ([1, 2], "#2.3"), ([0, -1], "#1")])
    def test_shows_its_path_as_people_count(self, path, shown):
        assert NodeExecution(item_path=path).shown_path == shown

    def test_goes_with_its_execution(self):
        execution = make_execution()
        make_node_execution(execution)

        execution.delete()

        assert not NodeExecution.objects.exists()
