"""What is sent: everything that can run, in messages of ids only, none of them large."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
import redis

from agentplatform.lib.ids import uuid7
from blocks.sdk import Placement
from executions import launch, messages
from executions.engine.compile import Canvas, Chord, Items, Lane, Limits, compile, spread
from executions.engine.plan import Plan, plan
from executions.engine.spec import BlockFacts, LinkSpec, NodeSpec
from executions.engine.status import Status
from executions.messages import Work, read
from tests.blocks import node
from tests.factories import make_execution, make_published, remove_block, status_of
from tests.strategies import random_graph

MAX_MESSAGE_BYTES = 2048
IO, CPU = BlockFacts(Placement.IO), BlockFacts(Placement.CPU)


@pytest.fixture
def broker(redis_url: str) -> Iterator[redis.Redis]:
    """The broker of this process, empty before and after; no worker takes anything from it."""
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushdb()
        yield broker
        broker.flushdb()


def waiting(broker: Any) -> list[bytes]:
    """Return the messages in the queues, as they lie there."""
    return [message for queue in ("default", "cpu") for message in broker.lrange(queue, 0, -1)]


def wide(placements: Sequence[BlockFacts]) -> Plan:
    """Return the plan of nodes that know nothing of each other."""
    return plan([NodeSpec(f"n{number}", "x", block=facts) for number, facts in enumerate(placements)], [])


def joined(placements: Sequence[BlockFacts]) -> Plan:
    """Return the plan of such nodes that meet in a last one."""
    nodes = [NodeSpec(f"n{number}", "x", block=facts) for number, facts in enumerate(placements)]
    links = [LinkSpec(one.key, "output", "join", "input") for one in nodes]
    return plan([*nodes, NodeSpec("join", "x", block=IO)], links)


def chained(placements: Sequence[BlockFacts]) -> Plan:
    """Return the plan of nodes that follow each other."""
    nodes = [NodeSpec(f"n{number}", "x", block=facts) for number, facts in enumerate(placements)]
    links = [LinkSpec(a.key, "output", b.key, "input") for a, b in pairwise(nodes)]
    return plan(nodes, links)


def layered(placements: Sequence[BlockFacts]) -> Plan:
    """Return the plan of two layers of which each node of the second waits for two of the first."""
    half = len(placements) // 2
    nodes = [NodeSpec(f"n{number}", "x", block=facts) for number, facts in enumerate(placements)]
    links = [
        LinkSpec(f"n{(number + step) % half}", "output", f"n{half + number}", "input")
        for number in range(half)
        for step in (0, 1)
    ]
    return plan(nodes, links)


MANY: list[tuple[str, Callable[[Sequence[BlockFacts]], Plan], list[BlockFacts]]] = [
    ("parallel", wide, [IO] * 2000),
    ("parallel, mixed", wide, [IO, CPU] * 1000),
    ("parallel, one in three", wide, [IO, CPU, CPU] * 666),
    ("meeting", joined, [IO] * 2000),
    ("meeting, mixed", joined, [IO, CPU] * 1000),
    ("chain, mixed", chained, [IO, CPU] * 1000),
    ("short chain, mixed", chained, [IO, CPU] * 3),
    ("layers", layered, [IO] * 2000),
    ("layers, mixed", layered, [IO, CPU] * 1000),
]


@pytest.mark.parametrize(("shape", "placements"), [case[1:] for case in MANY], ids=[case[0] for case in MANY])
def test_no_message_is_large_for_the_largest_graphs(shape, placements, broker):
    planned = shape(placements)

    for done in ([], [s.index for s in planned.segments if not s.producers]):
        publish(compile(planned, done, launch.limits()))

    assert sizes_beyond(broker) == []


def test_no_message_is_large_for_random_graphs(broker):
    for seed in range(60):
        drawn = random_graph(seed)
        planned = plan(drawn.nodes, drawn.links)
        publish(compile(planned, [], Limits(lanes=3, chunk=1)))

    assert sizes_beyond(broker) == []


def test_no_message_is_large_for_items_that_are_spread(broker):
    lane = Lane("default", (1999,))

    publish([spread(lane, 1999, range(10_000, 30_000), launch.limits())])

    assert len(waiting(broker)) == 201  # the body among them
    assert sizes_beyond(broker) == []


def test_sends_the_lanes_of_many_executions_in_few_messages(broker):
    work = [Work(uuid7(), Lane("default", (number,))) for number in range(40)]

    launch.send_lanes(work)

    assert len(waiting(broker)) <= 5
    assert sizes_beyond(broker) == []


def publish(canvases: Sequence[Canvas]) -> None:
    """Send canvases as `launch` does, and what a chord sends later too."""
    execution_id = uuid7()
    launch.send_lanes([Work(execution_id, canvas) for canvas in canvases if isinstance(canvas, Lane)])
    launch.send(execution_id, [canvas for canvas in canvases if not isinstance(canvas, Lane)])
    launch.send(execution_id, [canvas.body for canvas in canvases if isinstance(canvas, Chord)])


def sizes_beyond(broker: Any) -> list[int]:
    """Return the sizes of the messages that are too large, as they lie at the broker: headers and all."""
    messages = waiting(broker)
    assert messages
    return sorted({len(message) for message in messages if len(message) >= MAX_MESSAGE_BYTES})


@pytest.mark.django_db
class TestLaunch:
    def test_sends_what_is_left_of_an_execution(self, broker):
        nodes = [node("a", "test.echo-io", input=1), node("b", "test.echo-cpu", input=2)]
        execution = make_execution(make_published(nodes), segments_done=[0])

        launch.launch([execution.pk])

        assert broker.llen("default") + broker.llen("cpu") == 1

    def test_sends_nothing_of_an_execution_that_has_ended(self, broker):
        execution = make_execution(status=Status.SUCCEEDED)

        launch.launch([execution.pk])

        assert waiting(broker) == []

    def test_puts_many_small_executions_into_one_message(self, broker):
        version = make_published([node("a", "test.echo-io", input=1)])
        executions = [make_execution(version) for _ in range(10)]

        launch.launch([execution.pk for execution in executions])

        assert len(waiting(broker)) == 1

    def test_a_block_that_is_gone_keeps_no_other_execution_from_being_sent(self, broker):
        good = make_execution(make_published([node("a", "test.echo-io", input=1)]))
        gone_execution = make_execution(make_published([node("a", "test.source")]))
        remove_block(gone_execution.version_id)

        lacking = launch.launch([gone_execution.pk, good.pk])

        assert [(one, error.code) for one, error in lacking.items()] == [(gone_execution.pk, "UNKNOWN_BLOCK")]
        assert status_of(good) == Status.QUEUED
        assert len(waiting(broker)) == 1

    def test_a_version_that_can_not_be_planned_keeps_no_other_from_being_sent(self, broker):
        good = make_execution(make_published([node("a", "test.echo-io", input=1)]))
        bad = make_published([node("a", "test.echo-io", input=1)])
        bad_execution = make_execution(bad)
        _link_to_itself(bad.pk)

        launch.launch([bad_execution.pk, good.pk])

        assert status_of(bad_execution) == Status.QUEUED
        assert len(waiting(broker)) == 1


def _link_to_itself(version_id: Any) -> None:
    """Draw a circle into a published version: what validation and triggers refuse."""
    from django.db import connection

    from executions.plans import plan_of
    from graphs.models import Link, Node

    own = Node.objects.get(version_id=version_id)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        Link.objects.create(version_id=version_id, source=own, source_pin="output", sink=own, sink_pin="input", order=0)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    plan_of.cache_clear()


class TestRead:
    def test_takes_a_message_as_the_first_release_wrote_it(self):
        """Written by hand, once: whatever `write` does later, this must be read as long as such messages may be under way."""
        execution_id = "01a20529-b9a2-76eb-9fe4-3d19b3c96710"

        work = read(
            version=1, queue="default", work=[[execution_id, "0-2,5", "6", None], [execution_id, "7", "", [3, 0, 100]]]
        )

        assert work == [
            Work(UUID(execution_id), Lane("default", (0, 1, 2, 5), (6,))),
            Work(UUID(execution_id), Lane("default", (7,), (), Items(3, 0, 100))),
        ]

    def test_leaves_a_message_of_a_later_version_alone(self, caplog):
        assert read(version=messages.VERSION + 1, lanes="as nobody knows today") == []
        assert "was left alone" in caplog.text

    def test_knows_what_it_writes(self):
        work = [Work(uuid7(), Lane("cpu", (1, 2), (3,), Items(1, 5, 9)))]

        assert read(**messages.write(work)) == work


def test_what_computes_shares_its_message_with_nobody(broker):
    launch.send_lanes([Work(uuid7(), Lane("cpu", (number,))) for number in range(5)])

    assert broker.llen("cpu") == 5
