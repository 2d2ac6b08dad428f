"""A `POISON` counts as chance only where the run itself has struck every worker that is said to be lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentplatform.lib.clock import now
from executions.engine.status import NodeStatus, Status
from executions.models import Execution, NodeExecution
from tests.factories import make_execution, make_node_execution
from tests.faults.losses import AFTERWARDS_S, Losses
from tests.faults.stack import Member

pytestmark = pytest.mark.django_db

#: By fence, who held it.
HOLDERS = {11: 101, 12: 102, 13: 103}


def nobody(starts: int) -> Any:
    """Make no service: these members never start."""
    raise AssertionError(starts)


@pytest.fixture
def worker(tmp_path: Path) -> Member:
    """One that was started three times."""
    return Member("worker", nobody, tmp_path, pids=[101, 102, 103])


@pytest.fixture
def losses(worker: Member) -> Losses:
    return Losses([worker])


def given_up(losses: Losses, before: Callable[[int], object], *, fences: tuple[int, ...] = (11, 12, 13)) -> Execution:
    """Let workers claim a firing, one after the other, and something happen to each; then give it up."""
    execution = make_execution(status=Status.RUNNING)
    row = make_node_execution(execution, status=NodeStatus.RUNNING)
    for fence in fences:
        NodeExecution.objects.filter(pk=row.pk).update(fence=fence, worker=f"host:{HOLDERS[fence]}")
        losses.look()
        before(HOLDERS[fence])
        losses.look()
    NodeExecution.objects.filter(pk=row.pk).update(lost_fences=[11, 12, 13])
    firing = NodeExecution.objects.filter(pk=row.pk)
    firing.move(NodeStatus.FAILED, error_code="POISON", lease_expires_at=None, ended_at=now())
    return execution


def test_three_that_were_killed_explain_it(losses: Losses):
    execution = given_up(losses, losses.strike)

    assert list(losses.unexplained(execution.pk)) == []


def test_one_that_lives_does_not(losses: Losses):
    execution = given_up(losses, lambda pid: pid != 102 and losses.strike(pid))

    assert list(losses.unexplained(execution.pk)) == [
        "process 102, which nothing has struck, is said to be lost with only"
    ]


def test_one_that_was_struck_before_it_claimed_does_not(losses: Losses):
    for pid in HOLDERS.values():
        losses.strike(pid).until = float("-inf")

    execution = given_up(losses, lambda pid: None)

    assert len(list(losses.unexplained(execution.pk))) == len(HOLDERS)


def test_one_that_nobody_has_seen_does_not(losses: Losses):
    execution = given_up(losses, losses.strike, fences=(11, 12))

    assert list(losses.unexplained(execution.pk)) == ["nobody was seen with claim 13 of only"]


def test_nor_does_a_firing_that_was_given_up_by_nobody(losses: Losses):
    execution = make_execution(status=Status.RUNNING)

    assert list(losses.unexplained(execution.pk)) == ["no firing of it was given up"]


def test_what_strikes_the_database_or_a_leader_strikes_all_that_need_it(losses: Losses, worker: Member):
    losses.doomed.append((worker, 1))
    losses.leaders[101] = 100
    strikes = {101: lambda: losses.strike(100), 102: lambda: None, 103: lambda: losses.strike_all().end()}

    execution = given_up(losses, lambda pid: strikes[pid]())

    assert list(losses.unexplained(execution.pk)) == []
    assert losses.of_all[0].until - losses.of_all[0].since >= AFTERWARDS_S
