"""Cancelling on real workers: what runs stops although it would go on for long, and nothing comes of it but what it used."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from blocks import registry
from blocks.sdk import Block
from executions import services
from executions.engine.spec import LinkSpec
from executions.engine.status import NodeStatus, Status
from executions.models import Execution, NodeExecution
from graphs.models import GraphVersion
from tests.acceptance.crew import BLOCKS, Crew, one_way, probe, start_many, wait_for_end, working
from tests.acceptance.hostile import HOSTILE, Compute, Spend, Swallow
from tests.acceptance.probes import PROBES, Act
from tests.blocks import node
from tests.factories import make_published, rows_of
from tests.servers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

#: What is cancelled would run so long: what ends long before that was stopped.
RUNS_S = 600.0
#: Renewals are so rare that they can not be what tells a worker of a cancellation.
RARE = {"AGENTPLATFORM_HEARTBEAT_S": "600", "AGENTPLATFORM_LEASE_S": "3600"}


@pytest.fixture(scope="module")
def crew(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """Workers that hear of a cancellation by what they are told, or not at all."""
    blocks = {"AGENTPLATFORM_EXTRA_BLOCKS": f"{BLOCKS['AGENTPLATFORM_EXTRA_BLOCKS']},tests.acceptance.hostile:HOSTILE"}
    with working(tmp_path_factory.mktemp("crew"), blocks | RARE) as crew:
        yield crew


@pytest.fixture(autouse=True)
def _blocks() -> None:
    registry.register(*PROBES, *HOSTILE)


def many_at_once(block: type[Block], count: int) -> GraphVersion:
    """Return a graph that runs a block for so many items side by side."""
    nodes = [node("items", "test.stream", input=1, count=count), probe("act", block, seconds=RUNS_S)]
    return make_published(nodes, [LinkSpec("items", "item", "act", "input")])


def start(version: GraphVersion) -> Execution:
    return services.start(version_id=version.pk, owner_id=version.graph.owner_id)


def began(crew: Crew, ids: list[UUID]) -> int:
    return len(crew.effects_of(ids))


def stop(execution: Execution) -> float:
    """Cancel an execution, and wait until it has ended with all its firings. Return how long that took."""
    begun = time.monotonic()
    services.cancel(execution)
    wait_until(lambda: Execution.objects.get(pk=execution.pk).is_final, within_s=60.0, what="The end")
    return time.monotonic() - begun


def statuses_of(execution: Execution, key: str) -> set[str]:
    return set(NodeExecution.objects.filter(execution=execution, node_key=key).values_list("status", flat=True))


def test_two_hundred_blocks_that_wait_stop(crew, record_property):
    version = many_at_once(Act, 200)
    took_s = []
    for _ in range(5):
        execution = start(version)
        wait_until(lambda e=execution: began(crew, [e.pk]) == 200, what="The beginning")

        took_s.append(stop(execution))

        assert (Execution.objects.get(pk=execution.pk).status, statuses_of(execution, "act")) == (
            Status.CANCELLED,
            {NodeStatus.CANCELLED},
        )
    record_property("median_s", statistics.median(took_s))
    print(f"200 blocks stopped within {', '.join(f'{one:.2f}' for one in took_s)} s")


def test_what_was_used_until_then_is_charged(crew):
    execution = start(many_at_once(Spend, 3))
    wait_until(lambda: began(crew, [execution.pk]) == 3, what="The beginning")

    stop(execution)

    execution.refresh_from_db()
    assert (execution.input_tokens, execution.cost_microcredits, execution.outputs) == (9, 9, {})
    assert (execution.status, execution.error_code) == (Status.CANCELLED, "")


def test_a_block_that_does_not_let_itself_be_cancelled_is_left_behind(crew):
    execution = start(many_at_once(Swallow, 2))
    wait_until(lambda: began(crew, [execution.pk]) == 2, what="The beginning")

    stop(execution)

    assert statuses_of(execution, "act") == {NodeStatus.CANCELLED}
    wait_until(lambda: "hostile.swallow in node act" in crew.default.output(), what="The warning")
    assert "is left behind" in crew.default.output()


def test_a_block_that_computes_is_killed_and_nobody_else_suffers(crew):
    cancelled, others = start(many_at_once(Compute, 1)), one_way(Compute, seconds=2.0)
    wait_until(lambda: began(crew, [cancelled.pk]) == 1, what="The beginning")
    ids = start_many(others, 3)
    before = set(crew.cpu.children)

    stop(cancelled)

    row = rows_of(cancelled.pk)["act", (0,)]
    assert (row.status, row.crashes, row.lease_expires_at) == (NodeStatus.CANCELLED, 0, None)
    wait_for_end(ids)
    assert set(Execution.objects.filter(pk__in=ids).values_list("status", flat=True)) == {Status.SUCCEEDED}
    assert set(NodeExecution.objects.filter(execution_id__in=ids).values_list("crashes", flat=True)) == {0}
    wait_until(lambda: len(set(crew.cpu.children) - before) == 1, what="The replacement of the killed process")
    assert crew.cpu.process.poll() is None


def test_everything_in_line_is_cancelled_with_one_word(crew):
    ids = start_many(one_way(Act, seconds=RUNS_S), 40)
    wait_until(lambda: began(crew, ids) >= 10, what="The beginning")

    for execution in Execution.objects.filter(pk__in=ids):
        services.cancel(execution)

    left = Execution.objects.filter(pk__in=ids).exclude(status=Status.CANCELLED)
    wait_until(lambda: not left.exists(), within_s=60.0, what="The end of all")
    effects = crew.effects_of(ids)
    assert set(effects.values()) == {1}
    settled = NodeExecution.objects.filter(execution_id__in=ids).exclude(node_key="number")
    assert set(settled.values_list("status", flat=True)) <= {NodeStatus.CANCELLED}


def test_a_paused_execution_goes_on_where_it_was(crew):
    nodes = [
        probe("first", Act, seconds=1.0),
        node("cheap", "test.echo"),
        probe("second", Act),
        node("result", "test.output", name="result"),
    ]
    links = [
        LinkSpec("first", "output", "cheap", "input"),
        LinkSpec("cheap", "output", "second", "input"),
        LinkSpec("second", "output", "result", "input"),
    ]
    execution = start(make_published(nodes, links))
    wait_until(lambda: began(crew, [execution.pk]) == 1, what="The beginning")

    services.pause(execution)
    wait_until(lambda: statuses_of(execution, "first") == {NodeStatus.SUCCEEDED}, what="The end of what ran")
    quiet_until = time.monotonic() + 1.0
    wait_until(lambda: time.monotonic() > quiet_until)
    paused: Any = Execution.objects.get(pk=execution.pk)
    before = (paused.status, began(crew, [execution.pk]))
    services.resume(execution)
    ended = services.wait(execution.pk, timeout_s=60)

    assert before == (Status.RUNNING, 1)
    assert (ended.status, set(crew.effects_of([execution.pk]).values())) == (Status.SUCCEEDED, {1})
