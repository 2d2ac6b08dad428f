"""The life cycles: what may follow what."""

from __future__ import annotations

import pytest

from executions.engine.status import (
    FINAL,
    FROM_HERE,
    NODE_FINAL,
    NODE_FROM_HERE,
    NodeStatus,
    Status,
    sources_of,
)


@pytest.mark.parametrize(("statuses", "cycle"), [(Status, FROM_HERE), (NodeStatus, NODE_FROM_HERE)])
def test_every_status_has_its_place(statuses, cycle):
    assert set(cycle) == set(statuses)
    assert {target for targets in cycle.values() for target in targets} <= set(statuses)


@pytest.mark.parametrize(("cycle", "final"), [(FROM_HERE, FINAL), (NODE_FROM_HERE, NODE_FINAL)])
def test_nothing_follows_an_end_and_something_follows_all_else(cycle, final):
    assert {here for here, targets in cycle.items() if not targets} == final


@pytest.mark.parametrize(
    ("cycle", "start", "final"), [(FROM_HERE, Status.QUEUED, FINAL), (NODE_FROM_HERE, NodeStatus.PENDING, NODE_FINAL)]
)
def test_every_status_is_reached_from_the_first_and_leads_to_an_end(cycle, start, final):
    def reached(here):
        found, todo = {here}, [here]
        while todo:
            fresh = cycle[todo.pop()] - found
            found |= fresh
            todo.extend(fresh)
        return found

    assert reached(start) == set(cycle)
    assert all(reached(status) & final for status in cycle)


def test_success_is_reached_only_by_what_has_begun():
    assert sources_of(Status.SUCCEEDED, FROM_HERE) == [Status.RUNNING, Status.WAITING]


def test_what_is_being_stopped_never_goes_on():
    assert FROM_HERE[Status.CANCELLING] == FINAL - {Status.SUCCEEDED}


@pytest.mark.parametrize("cycle", [FROM_HERE, NODE_FROM_HERE])
def test_sources_are_the_targets_read_backwards(cycle):
    for target in cycle:
        assert set(sources_of(target, cycle)) == {here for here, targets in cycle.items() if target in targets}
