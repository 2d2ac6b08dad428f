"""What has ended is the same to every release, however it cuts the plan."""

from __future__ import annotations

import pytest

from executions.engine.compile import Lane
from executions.engine.status import NodeStatus, Status
from executions.known import ended_segments
from executions.launch import compile_rest
from executions.messages import Work
from executions.plans import plan_of
from executions.settle import settle
from executions.snapshot import look
from tests.factories import make_batch, make_claim, make_ended, make_execution, make_node_execution
from tests.integration.executions.test_settle import two_segments

pytestmark = pytest.mark.django_db


def test_segments_counted_by_the_same_cut_are_taken_as_they_are():
    execution = make_execution(two_segments(), segments_done=[0])
    plan = plan_of(execution.version_id)

    assert ended_segments(execution.pk, plan, [0], mark=plan.mark, has_origins=False) == {0}
    assert ended_segments(execution.pk, plan, [0], mark="", has_origins=False) == {0}


def test_segments_counted_by_another_cut_are_read_from_the_rows():
    execution = make_execution(two_segments(), segments_done=[1], plan_mark="another", status=Status.RUNNING)
    make_node_execution(execution, "a", outputs={"output": [1]})

    (lane,) = compile_rest(execution)

    assert lane.segments == (1,)


def test_a_settle_by_another_cut_adds_no_numbers_and_loses_nothing():
    execution = make_execution(two_segments(), segments_done=[7], plan_mark="another", status=Status.RUNNING)
    plan = plan_of(execution.version_id)
    ended = make_ended(plan, make_claim(execution, "a"))

    (settled,) = settle([make_batch(execution, [ended], segments=[0])])

    assert settled.done == {0}
    execution.refresh_from_db()
    assert execution.segments_done == [7]
    assert execution.node_executions.get().status == NodeStatus.SUCCEEDED


def test_what_workers_of_two_releases_did_side_by_side_is_ended_by_whoever_looks():
    execution = make_execution(two_segments(), segments_done=[7], plan_mark="another", status=Status.RUNNING)
    for key in ("a", "b"):
        make_node_execution(execution, key, outputs={"output": [1]})

    (lane,) = compile_rest(execution)
    (snapshot,) = look([Work(execution.pk, lane)])

    assert lane.segments == (1,)
    assert snapshot is not None
    assert snapshot.done == {0, 1}


def test_a_message_that_names_what_this_cut_has_not_is_left_alone():
    execution = make_execution(two_segments())

    assert look([Work(execution.pk, Lane("default", (7,)))]) == [None]


def test_a_settle_whose_answer_was_lost_is_not_told_the_numbers_of_another_cut():
    execution = make_execution(two_segments(), segments_done=[1], plan_mark="another", status=Status.RUNNING)
    plan = plan_of(execution.version_id)
    batch = make_batch(execution, [make_ended(plan, make_claim(execution, "a"))], segments=[0])
    settle([batch])

    (again,) = settle([batch])

    assert again.done == {0}
