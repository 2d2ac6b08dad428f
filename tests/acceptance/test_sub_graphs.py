"""Sub-graphs on real workers: none starves another, none is run twice, and what waits holds nobody."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from blocks import registry
from executions import services, stopping, waits
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind
from executions.errors import ExecutionFailed, ExecutionNotFound, WaitTimedOut
from executions.manager import ExecutionManager
from executions.models import Execution, NodeExecution, Wait
from graphs.errors import GraphNotFound
from graphs.models import GraphVersion
from tests.acceptance.crew import BLOCKS, SHORT_LEASES, probe, wait_for_end
from tests.acceptance.probes import EFFECTS_FILE, PROBES, Act, Charge, Compute, Manage
from tests.blocks import node
from tests.factories import make_published, make_user, status_of
from tests.servers import Worker, running_worker, start_worker, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _short_leases(settings: Any) -> None:
    registry.register(*PROBES)
    for name, value in SHORT_LEASES.items():
        setattr(settings, name, value)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What workers with short leases need, and the file their blocks write to."""
    return {
        **BLOCKS,
        **{name: str(value) for name, value in SHORT_LEASES.items()},
        EFFECTS_FILE: str(tmp_path / "effects.jsonl"),
    }


@pytest.fixture
def lone_worker(environment: dict[str, str]) -> Iterator[Worker]:
    """The only worker, with one thread."""
    worker = start_worker("default", "threads", concurrency=1, extra_env=environment)
    yield worker
    worker.kill9()


@pytest.fixture
def worker(environment: dict[str, str]) -> Iterator[Worker]:
    """A worker of the usual size."""
    with running_worker("default", "threads", extra_env=environment) as worker:
        yield worker


@pytest.fixture
async def _no_connection_is_left() -> AsyncIterator[None]:
    """Close the connection of the thread on which async code asks the database."""
    yield
    # Looked up on that thread, as each has its own.
    await sync_to_async(lambda: connection.close())()


def leaf(owner: Any, block: Any = Act, **constants: Any) -> GraphVersion:
    """Return a graph of one probe between an input and an output."""
    nodes = [
        node("item", "test.input", name="item"),
        probe("act", block, **constants),
        node("result", "test.output", name="result"),
    ]
    links = [LinkSpec("item", "output", "act", "input"), LinkSpec("act", "output", "result", "input")]
    return make_published(nodes, links, owner)


def approval(owner: Any) -> GraphVersion:
    """Return a graph that asks its owner."""
    nodes = [
        node("item", "test.input", name="item"),
        NodeSpec("ask", "ask-approval-block", {"title": "Well?"}),
        node("result", "test.output", name="result"),
    ]
    links = [LinkSpec("item", "output", "ask", "data"), LinkSpec("ask", "approved", "result", "input")]
    return make_published(nodes, links, owner)


def loop_over(owner: Any, below: GraphVersion, items: list[Any], **constants: Any) -> GraphVersion:
    """Return a graph that runs another for each of its items, and does nothing with what it is given itself."""
    nodes = [
        node("item", "test.input", name="item", default=0),
        NodeSpec("loop", "loop-block", {"items": items, "subgraph_id": str(below.graph_id), **constants}),
        node("result", "test.output", name="result"),
    ]
    return make_published(nodes, [LinkSpec("loop", "results", "result", "input")], owner)


def two_speeds(slow_s: float = 0.3) -> GraphVersion:
    """Return a graph with a node that fires three times at once and one that takes its time."""
    nodes = [
        NodeSpec("number", "for-each-block", {"items": [0, 1, 2]}),
        probe("quick", Act),
        probe("slow", Act, input=9, seconds=slow_s),
        node("both", "test.pair"),
    ]
    links = [
        LinkSpec("number", "item", "quick", "input"),
        LinkSpec("quick", "output", "both", "a"),
        LinkSpec("slow", "output", "both", "b"),
    ]
    return make_published(nodes, links)


def start(version: GraphVersion) -> Execution:
    return services.start(version_id=version.pk, owner_id=version.graph.owner_id)


def effects(environment: dict[str, str]) -> Counter[str]:
    """Return how often each firing had its effect."""
    file = Path(environment[EFFECTS_FILE])
    lines = file.read_text().splitlines() if file.exists() else []
    return Counter(json.loads(line)["key"] for line in lines)


def ended(execution: Execution) -> Execution:
    """Return an execution once it has ended."""
    wait_for_end([execution.pk])
    execution.refresh_from_db()
    return execution


def test_one_thread_carries_eight_levels_that_each_fan_out(lone_worker, environment):
    owner = make_user()
    version = leaf(owner)
    for _ in range(8):
        version = loop_over(owner, version, [0, 1])

    execution = start(version)
    ended(execution)

    assert (execution.status, execution.error_message) == (Status.SUCCEEDED, "")
    below = Execution.objects.filter(root_id=execution.pk)
    assert Counter(below.values_list("depth", "status")) == {
        (depth, Status.SUCCEEDED): 2**depth for depth in range(1, 9)
    }


def test_what_has_ended_is_neither_run_nor_paid_again_when_the_worker_is_killed(lone_worker, environment):
    owner = make_user()
    execution = start(loop_over(owner, leaf(owner, Charge, seconds=0.3), list(range(20)), max_parallel=4))
    below = Execution.objects.filter(parent_id=execution.pk)

    wait_until(lambda: below.filter(status=Status.SUCCEEDED).count() >= 8, what="The middle of the loop")
    lone_worker.kill9()
    before = {str(id_) for id_ in below.filter(status=Status.SUCCEEDED).values_list("pk", flat=True)}
    with running_worker("default", "threads", concurrency=1, extra_env=environment):
        ended(execution)

    times = {key.partition(":")[0]: count for key, count in effects(environment).items()}
    assert (execution.status, execution.outputs) == (Status.SUCCEEDED, {"result": [{"result": n} for n in range(20)]})
    assert 8 <= len(before) < 20
    assert {times[id_] for id_ in before} == {1}
    assert (len(times), below.count()) == (20, 20)
    assert max(times.values()) <= 2
    assert (execution.cost_microcredits, sum(below.values_list("cost_microcredits", flat=True))) == (20_000, 20_000)


def test_what_computes_goes_to_those_who_do_and_comes_back(lone_worker, environment):
    owner = make_user()
    with running_worker("cpu", "prefork", extra_env=environment):
        execution = start(loop_over(owner, leaf(owner, Compute, seconds=0.05), list(range(6))))
        ended(execution)

    assert (execution.status, execution.outputs) == (Status.SUCCEEDED, {"result": [{"result": n} for n in range(6)]})


def test_a_wait_far_below_holds_nobody_and_its_answer_comes_up_again(lone_worker, environment):
    owner = make_user()
    asking = loop_over(owner, approval(owner), ["a"])
    execution = start(loop_over(owner, asking, [0, 1]))
    wait_until(lambda: status_of(execution) == Status.WAITING, what="That nothing moves any more")
    running = NodeExecution.objects.filter(status=NodeStatus.RUNNING).count()

    answered: set[Any] = set()
    while len(answered) < 2:
        for wait in Wait.objects.open().filter(kind=WaitKind.APPROVAL).exclude(pk__in=answered):
            waits.answer(wait, by=owner, reply=waits.Reply(approved=True))
            answered.add(wait.pk)
    ended(execution)

    assert running == 0
    assert (execution.status, execution.error_message) == (Status.SUCCEEDED, "")
    assert execution.outputs == {"result": [{"result": [{"result": "a"}]}] * 2}
    assert not Wait.objects.open().exists()


def test_cancelling_reaches_the_lowest_level_at_once(lone_worker, environment):
    owner = make_user()
    version = leaf(owner, Charge, seconds=60)
    for _ in range(3):
        version = loop_over(owner, version, [0, 1])
    execution = start(version)
    wait_until(lambda: len(effects(environment)) == 8, what="The lowest level")

    began = time.monotonic()
    stopping.cancel(execution)
    wait_until(lambda: status_of(execution) == Status.CANCELLED, what="The end")

    below = Execution.objects.filter(root_id=execution.pk)
    execution.refresh_from_db()
    assert time.monotonic() - began < 20  # of the sixty seconds that each would take
    assert Counter(below.values_list("status", flat=True)) == {Status.CANCELLED: 14}
    assert not NodeExecution.objects.filter(status=NodeStatus.RUNNING).exists()
    assert execution.cost_microcredits == 8_000


@pytest.mark.usefixtures("_no_connection_is_left")
class TestTheManager:
    async def test_runs_graphs_at_the_same_time_from_async_code(self, worker):
        version = await sync_to_async(lambda: leaf(make_user(), Charge, seconds=3.0))()
        manager = ExecutionManager(owner_id=version.graph.owner_id)

        results = await asyncio.gather(*[manager.execute_graph(version.graph_id, {"item": n}) for n in range(5)])

        assert [(result.outputs, result.cost_microcredits) for result in results] == [
            ({"result": number}, 1000) for number in range(5)
        ]
        ran = NodeExecution.objects.filter(node_key="act")
        times = await sync_to_async(lambda: list(ran.values_list("started_at", "ended_at")))()
        assert max(began for began, _ in times) < min(ended for _, ended in times)

    async def test_says_how_a_graph_has_failed(self, lone_worker):
        version = await sync_to_async(lambda: leaf(make_user(), Act, fails=True))()

        with pytest.raises(ExecutionFailed) as failed:
            await ExecutionManager().execute_graph(version.graph_id, {"item": 1})

        assert failed.value.code == "PROBE_FAILED"
        assert await Execution.objects.filter(pk=failed.value.execution_id).acount() == 1

    async def test_does_not_wait_for_ever(self, lone_worker):
        version = await sync_to_async(lambda: leaf(make_user(), Act, seconds=60))()

        with pytest.raises(WaitTimedOut):
            await ExecutionManager(timeout_s=0.2).execute_graph(version.graph_id, {"item": 1})

    async def test_acts_for_its_owner_alone(self, lone_worker):
        version = await sync_to_async(lambda: leaf(make_user()))()
        other = await sync_to_async(make_user)()
        execution = await sync_to_async(services.start)(
            version_id=version.pk, owner_id=version.graph.owner_id, inputs={"item": 1}
        )
        manager = ExecutionManager(owner_id=other.pk)

        with pytest.raises(GraphNotFound):
            await manager.execute_graph(version.graph_id, {"item": 1})
        with pytest.raises(ExecutionNotFound):
            await manager.execute_node(execution.pk, "act")

    async def test_waits_for_nodes_side_by_side(self, lone_worker):
        execution = await sync_to_async(start)(await sync_to_async(two_speeds)())
        manager = ExecutionManager()

        quick, slow = await asyncio.gather(*[manager.execute_node(execution.pk, key) for key in ("quick", "slow")])

        assert (quick, slow) == ({"output": [0, 1, 2]}, {"output": [9]})

    async def test_does_not_wait_for_more_than_the_node(self, lone_worker):
        execution = await sync_to_async(start)(await sync_to_async(partial(two_speeds, slow_s=60))())

        outputs = await ExecutionManager(timeout_s=20).execute_node(execution.pk, "quick")

        assert outputs == {"output": [0, 1, 2]}
        assert await sync_to_async(status_of)(execution) == Status.RUNNING

    def test_starts_sub_graphs_inside_a_block(self, lone_worker):
        owner = make_user()
        managing = NodeSpec("manage", Manage.id, {"graph_id": str(leaf(owner, Charge).graph_id)})
        nodes, links = (
            [managing, node("out", "test.output", name="all")],
            [LinkSpec("manage", "output", "out", "input")],
        )

        execution = ended(start(make_published(nodes, links, owner)))

        below = Execution.objects.filter(parent_id=execution.pk)
        assert execution.outputs == {"all": [{"result": 0}, {"result": 1}, {"result": 2}]}
        assert (below.count(), execution.cost_microcredits) == (3, 3000)
