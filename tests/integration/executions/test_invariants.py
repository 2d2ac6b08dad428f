"""Whatever is broken in stored executions is found, by the part that says so, and told with the right id."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Max

from agentplatform.lib.clock import now
from agentplatform.lib.ids import first_id_at, uuid7
from executions import invariants
from executions.engine.spec import LinkSpec
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind
from executions.invariants import INVARIANTS, all_parts, check
from executions.live import reading
from executions.models import Execution, LiveEvent, NodeExecution, Wait
from files.models import File
from files.storing import Writer, store
from graphs.models import Graph, GraphVersion
from tests.blocks import node
from tests.factories import make_execution, make_node_execution, make_published, make_user

pytestmark = pytest.mark.django_db

GRACE_S = 60.0
#: Of a sound world: what was sent and has not ended, and what is begun again by itself.
IN_FLIGHT = 5
LONG_AGO = timedelta(hours=2)
NODES = [
    node("source", "test.source"),
    node("fetch", "test.echo-io"),
    node("stream", "test.stream-io", count=2),
    node("each", "test.echo-io"),
    node("all", "test.collect"),
    node("pair", "test.pair"),
    node("out", "test.output", name="result"),
]
LINKS = [
    LinkSpec("source", "output", "fetch", "input"),
    LinkSpec("fetch", "output", "stream", "input"),
    LinkSpec("stream", "item", "each", "input"),
    LinkSpec("each", "output", "all", "item"),
    LinkSpec("all", "items", "pair", "a"),
    LinkSpec("fetch", "output", "pair", "b"),
    LinkSpec("pair", "output", "out", "input"),
]
#: In the order in which they begin; each takes a second.
FIRINGS: list[tuple[str, list[int]]] = [
    ("source", []),
    ("fetch", []),
    ("stream", []),
    ("each", [0]),
    ("each", [1]),
    ("all", []),
    ("pair", []),
    ("out", []),
]
CLAIMED = {"fetch", "stream", "each"}


@dataclass
class World:
    """Executions in every state that lasts, all of them two hours old and sound."""

    version: GraphVersion
    born: datetime = field(default_factory=lambda: now() - LONG_AGO)

    def __post_init__(self) -> None:
        self.limit_graph(IN_FLIGHT)
        self.done = self.execution(Status.SUCCEEDED, cost_microcredits=len(FIRINGS))
        self.fire(self.done, len(FIRINGS))
        self.reused = self.execution(Status.SUCCEEDED, cost_microcredits=2, retried_from_id=self.done.pk)
        self.fire(self.reused, len(FIRINGS), origin=self.done, reused=len(FIRINGS) - 2)
        self.failed = self.execution(Status.FAILED, cost_microcredits=1, error_code="BOOM")
        self.fire(self.failed, 1)
        self.row(self.failed, 1, NodeStatus.FAILED, cost_microcredits=0)
        self.cancelled = self.execution(Status.CANCELLED, cost_microcredits=1)
        self.fire(self.cancelled, 1)
        self.row(self.cancelled, 1, NodeStatus.CANCELLED, cost_microcredits=0)
        self.queued = self.execution(Status.QUEUED, launched_at=now())
        self.in_line = self.execution(Status.QUEUED, launched_at=None)
        self.running = self.execution(Status.RUNNING)
        self.fire(self.running, 2)
        self.row(self.running, 2, NodeStatus.RUNNING)
        self.paused = self.execution(Status.RUNNING, is_paused=True)
        self.fire(self.paused, 2)
        self.row(self.paused, 2, NodeStatus.RUNNING, lease_expires_at=self.born)
        self.pausing = self.execution(Status.WAITING)
        self.fire(self.pausing, 1)
        self.row(self.pausing, 1, NodeStatus.PENDING, due_at=now() + LONG_AGO, ended_at=None)
        self.waiting = self.execution(Status.WAITING)
        self.fire(self.waiting, 1)
        self.row(self.waiting, 1, NodeStatus.WAITING, ended_at=None)
        self.wait = self.ask(self.waiting, 1, WaitKind.APPROVAL)
        self.parent = self.execution(Status.WAITING)
        self.fire(self.parent, 1)
        self.row(self.parent, 1, NodeStatus.WAITING, ended_at=None)
        self.child = self.execution(
            Status.WAITING,
            parent_id=self.parent.pk,
            parent_node="fetch",
            root_id=self.parent.pk,
            depth=1,
            launched_at=None,
        )
        self.child_wait = self.ask(self.parent, 1, WaitKind.CHILD, child_id=self.child.pk)
        self.fire(self.child, 1)
        self.row(self.child, 1, NodeStatus.WAITING, ended_at=None)
        self.ask(self.child, 1, WaitKind.TIMER, due_at=now() + LONG_AGO)
        self.cancelling = self.execution(Status.CANCELLING)
        self.fire(self.cancelling, 2)
        self.row(self.cancelling, 2, NodeStatus.RUNNING)

        self.watch(self.done, self.reused, self.failed, self.cancelled, self.running, self.waiting, self.parent)

    def watch(self, *executions: Execution) -> None:
        """Have somebody read the live events of these."""
        reading.look({execution.pk: 0 for execution in executions})

    def limit_graph(self, limit: int | None) -> None:
        Graph.objects.filter(pk=self.version.graph_id).update(max_concurrent=limit)

    def execution(self, status: Status, **fields: Any) -> Execution:
        moments = {"created_at": self.born, "launched_at": self.born}
        if status is not Status.QUEUED:
            moments["started_at"] = self.born
        if status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED):
            moments["ended_at"] = self.born + timedelta(seconds=len(FIRINGS))
        return make_execution(self.version, id=uuid7_at(self.born), status=status, **moments | fields)

    def fire(self, execution: Execution, count: int, *, origin: Execution | None = None, reused: int = 0) -> None:
        for place in range(count):
            taken = {"origin_id": origin.pk, "cost_microcredits": 0} if origin and place < reused else {}
            self.row(execution, place, NodeStatus.SUCCEEDED, **taken)

    def row(self, execution: Execution, place: int, status: NodeStatus, **fields: Any) -> NodeExecution:
        key, path = FIRINGS[place]
        began = self.born + timedelta(seconds=place)
        given = {"started_at": began, "ended_at": began + timedelta(seconds=1), "cost_microcredits": 1, "worker": "w1"}
        if key in CLAIMED and "origin_id" not in fields:
            given["fence"] = next_fence()
        if status is NodeStatus.RUNNING:
            given["ended_at"] = None
        return make_node_execution(execution, key, item_path=path, status=status, **given | fields)

    def ask(self, execution: Execution, place: int, kind: WaitKind, **fields: Any) -> Wait:
        key, path = FIRINGS[place]
        given = {
            "owner_id": execution.owner_id,
            "node_key": key,
            "item_path": path,
            "call_key": "0",
            "created_at": self.born,
        }
        return Wait.objects.create(execution_id=execution.pk, kind=kind, **given | fields)


@pytest.fixture
def world() -> World:
    return World(make_published(NODES, LINKS))


def uuid7_at(moment: datetime) -> Any:
    """Return a new id that is as old as `moment`."""
    return type(new := uuid7())(int=first_id_at(moment).int | new.int & ((1 << 80) - 1))


def next_fence() -> int:
    return int(run("SELECT nextval('executions_fence')"))


def run(sql: str, *values: Any) -> Any:
    """Run a statement as somebody who may do everything, and whom no trigger stops."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, values)
        found = cursor.fetchone()[0] if cursor.description else None
        cursor.execute("SET LOCAL session_replication_role = origin")
    return found


def spoil(execution: Execution, **fields: Any) -> str:
    """Change an execution past every guard; return what is told of it."""
    return _spoil("executions_execution", "id = %s", [execution.pk], fields) or str(execution.pk)


def spoil_row(execution: Execution, place: int, **fields: Any) -> str:
    """Change a firing past every guard; return what is told of it."""
    key, path = FIRINGS[place]
    where = "execution_id = %s AND node_key = %s AND item_path = %s::int[]"
    return _spoil("executions_nodeexecution", where, [execution.pk, key, path], fields) or told(execution, place)


def spoil_wait(wait: Wait, **fields: Any) -> str:
    return _spoil("executions_wait", "id = %s", [wait.pk], fields) or str(wait.pk)


def remove_row(execution: Execution, place: int) -> str:
    key, path = FIRINGS[place]
    run(
        "DELETE FROM executions_nodeexecution WHERE execution_id = %s AND node_key = %s AND item_path = %s::int[]",
        execution.pk,
        key,
        path,
    )
    return f"{execution.pk}:{key}"


def told(execution: Execution, place: int) -> str:
    key, path = FIRINGS[place]
    return f"{execution.pk}:{key}:{','.join(map(str, path))}"


def _spoil(table: str, where: str, of: list[Any], fields: dict[str, Any]) -> None:
    assignments = ", ".join(f"{name} = %s" for name in fields)
    run(f"UPDATE {table} SET {assignments} WHERE {where}", *fields.values(), *of)


def broken_by(part: str) -> list[tuple[str, ...]]:
    return [violation.ids for violation in check(grace_s=GRACE_S, skew_s=1.0) if violation.part == part]


def event_of(execution: Execution, kind: str, place: int) -> int:
    """Return the number of an event of a firing."""
    key, path = FIRINGS[place]
    return LiveEvent.objects.get(execution_id=execution.pk, kind=kind, node_key=key, item_path=path).number


def last_event_of(execution: Execution) -> int:
    return LiveEvent.objects.filter(execution_id=execution.pk).aggregate(last=Max("number"))["last"]


def forget_event(execution: Execution, number: int) -> str:
    run("DELETE FROM executions_liveevent WHERE execution_id = %s AND number = %s", execution.pk, number)
    return str(execution.pk)


def add_event(execution: Execution, kind: str) -> str:
    LiveEvent.objects.create(execution_id=execution.pk, number=last_event_of(execution) + 1, kind=kind, at=now())
    return str(execution.pk)


def partition_of(table: str) -> str:
    """Return the partition in which today's rows are."""
    return f"{table}_{now():%Y_%m}"


# What breaks each part, and what it then tells.


def alter(sql: str) -> None:
    """Change a table in the middle of a test, after what the test's own rows have left for its end."""
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run(sql)


def switch_guard_off(table: str, trigger: str) -> str:
    alter(f"ALTER TABLE {partition_of(table)} DISABLE TRIGGER {trigger}")
    return partition_of(table)


def drop_key(world: World) -> str:
    alter("ALTER TABLE executions_nodeexecution DROP CONSTRAINT a_node_fires_once_at_a_path")
    return partition_of("executions_nodeexecution")


def fence_of(execution: Execution, place: int) -> int:
    key, path = FIRINGS[place]
    return NodeExecution.objects.get(execution=execution, node_key=key, item_path=path).fence


BREAKS: dict[str, list[Callable[[World], str]]] = {
    "i1_waiting_for_nothing": [
        lambda world: spoil_wait(world.wait, status="CANCELLED", answered_at=now()) and str(world.waiting.pk),
    ],
    "i1_runs_longer_than_it_may": [
        lambda world: spoil(world.running, resumed_at=now() - timedelta(days=2)),
    ],
    "i2_firing_goes_on_after_the_end": [
        lambda world: spoil_row(world.done, 3, status="RUNNING"),
        lambda world: spoil_row(world.failed, 0, status="PENDING"),
        lambda world: spoil_row(world.cancelled, 1, status="WAITING"),
    ],
    "i2_firing_began_after_the_end": [
        lambda world: spoil_row(world.cancelled, 1, started_at=world.born + timedelta(seconds=20)),
    ],
    "i2_wait_goes_on_after_the_end": [
        lambda world: str(world.ask(world.done, 1, WaitKind.APPROVAL).pk),
    ],
    "i2_ended_without_a_time": [
        lambda world: spoil(world.running, ended_at=world.born),
    ],
    "i2_guard_is_missing": [
        lambda world: switch_guard_off("executions_execution", "an_execution_that_has_ended_stays_so"),
        lambda world: switch_guard_off("executions_nodeexecution", "a_firing_that_has_ended_stays_so"),
    ],
    "i3_key_is_missing": [drop_key],
    "i3_fence_given_twice": [
        lambda world: spoil_row(world.done, 1, fence=fence_of(world.running, 2)),
        lambda world: spoil_row(world.done, 3, fence=fence_of(world.done, 4)) and told(world.done, 4),
    ],
    "i3_leased_exactly_while_it_runs": [
        lambda world: spoil_row(world.running, 2, lease_expires_at=None),
        lambda world: spoil_row(world.running, 2, worker=""),
        lambda world: spoil_row(world.running, 2, fence=0),
        lambda world: spoil_row(world.done, 1, lease_expires_at=now()),
    ],
    "i3_ran_without_a_claim": [
        lambda world: spoil_row(world.done, 1, fence=0),
        lambda world: spoil_row(world.failed, 1, fence=0),
    ],
    "i3_attempts_do_not_add_up": [
        lambda world: spoil_row(world.done, 1, crashes=1),
    ],
    "i3_cost_is_not_the_sum": [
        lambda world: spoil_row(world.done, 1, cost_microcredits=2) and str(world.done.pk),
        lambda world: spoil(world.failed, cost_microcredits=0),
        lambda world: spoil_row(world.cancelled, 1, child_cost_microcredits=7) and str(world.cancelled.pk),
    ],
    "i4_began_before_its_item_was_there": [
        lambda world: spoil_row(world.done, 2, status="RUNNING") and told(world.done, 3),
        lambda world: spoil_row(world.done, 2, fence=next_fence()) and told(world.done, 4),
        lambda world: spoil_row(world.done, 2, ended_at=now()) and told(world.done, 3),
    ],
    "i4_began_before_its_producers_had_ended": [
        lambda world: spoil_row(world.done, 3, status="RUNNING") and f"{world.done.pk}:all",
        lambda world: spoil_row(world.done, 4, ended_at=now()) and f"{world.done.pk}:all",
        lambda world: spoil_row(world.done, 6, started_at=world.born) and f"{world.done.pk}:pair",
        lambda world: spoil_row(world.running, 1, status="RUNNING") and f"{world.running.pk}:stream",
        lambda world: spoil_row(world.done, 1, fence=next_fence()) and f"{world.done.pk}:stream",
        lambda world: spoil_row(world.done, 7, started_at=world.born) and f"{world.done.pk}:out",
    ],
    "i4_began_from_nothing": [
        lambda world: remove_row(world.running, 1) and f"{world.running.pk}:stream",
    ],
    "i4_node_was_left_out": [
        lambda world: remove_row(world.done, 6),
    ],
    "i8_lease_has_run_out": [
        lambda world: spoil_row(world.running, 2, lease_expires_at=now() - timedelta(seconds=GRACE_S + 1)),
        lambda world: spoil(world.paused, is_paused=False) and told(world.paused, 2),
    ],
    "i8_nobody_carries_it_on": [
        lambda world: spoil(world.queued, launched_at=world.born),
        lambda world: remove_row(world.running, 2) and str(world.running.pk),
        lambda world: remove_row(world.cancelling, 2) and str(world.cancelling.pk),
        lambda world: spoil(world.child, status="RUNNING"),
    ],
    "i8_due_and_not_begun": [
        lambda world: spoil_row(world.pausing, 1, due_at=None),
        lambda world: spoil_row(world.pausing, 1, due_at=now() - timedelta(seconds=GRACE_S + 1)),
    ],
    "i8_wait_is_overdue": [
        lambda world: spoil_wait(world.wait, due_at=now() - timedelta(seconds=GRACE_S + 1)),
        lambda world: spoil(world.child, status="SUCCEEDED", ended_at=world.born) and str(world.child_wait.pk),
    ],
    "i8_firing_waits_for_nothing": [
        lambda world: spoil_wait(world.wait, status="ANSWERED", answered_at=now()) and told(world.waiting, 1),
        lambda world: spoil_row(world.waiting, 1, status="PENDING", due_at=now() + LONG_AGO) and str(world.wait.pk),
    ],
    "i8_child_without_its_parent": [
        lambda world: spoil(world.child, parent_id=uuid7()),
        lambda world: spoil(world.child, root_id=world.done.pk),
        lambda world: spoil(world.child, depth=2),
        lambda world: spoil(world.done, root_id=world.parent.pk),
    ],
    "i8_child_outlives_its_parent": [
        lambda world: spoil(world.parent, status="FAILED", ended_at=world.born) and str(world.child.pk),
        lambda world: spoil_row(world.parent, 1, status="FAILED", ended_at=world.born) and str(world.child.pk),
    ],
    "i8_file_is_left_behind": [
        lambda world: leave_file(world),
    ],
    "i9_cancelled_with_outputs": [
        lambda world: spoil_row(world.cancelled, 1, outputs='{"output": [1]}'),
    ],
    "i9_waits_while_it_is_cancelled": [
        lambda world: spoil(world.waiting, status="CANCELLING") and told(world.waiting, 1),
        lambda world: spoil(world.pausing, status="CANCELLING") and told(world.pausing, 1),
    ],
    "i9_child_is_not_cancelled": [
        lambda world: spoil(world.parent, status="CANCELLING") and str(world.child.pk),
        lambda world: spoil(world.parent, status="CANCELLED", ended_at=now()) and str(world.child.pk),
    ],
    "i10_numbers_have_a_gap": [
        lambda world: forget_event(world.done, 1),
        lambda world: forget_event(world.running, 3),
    ],
    "i10_told_after_the_end": [
        lambda world: spoil(world.failed, status="CANCELLED") and f"{world.failed.pk}:{last_event_of(world.failed)}",
        lambda world: add_event(world.done, "execution.paused") and f"{world.done.pk}:{last_event_of(world.done) - 1}",
        lambda world: spoil(world.done, status="RUNNING") and f"{world.done.pk}:{last_event_of(world.done)}",
    ],
    "i10_left_out": [
        lambda world: forget_event(world.done, event_of(world.done, "node.succeeded", 3)) and told(world.done, 3),
        lambda world: (
            forget_event(world.cancelled, event_of(world.cancelled, "node.cancelled", 1)) and told(world.cancelled, 1)
        ),
    ],
    "i10_told_of_nothing": [
        lambda world: (
            remove_row(world.running, 1) and f"{world.running.pk}:{event_of(world.running, 'node.succeeded', 1)}"
        ),
        lambda world: (
            spoil_row(world.running, 2, started_at=None)
            and f"{world.running.pk}:{event_of(world.running, 'node.started', 2)}"
        ),
        lambda world: (
            spoil_row(world.done, 1, status="FAILED") and f"{world.done.pk}:{event_of(world.done, 'node.succeeded', 1)}"
        ),
    ],
    "i12_not_of_its_version": [
        lambda world: spoil_row(world.done, 0, node_key="other") and f"{world.done.pk}:other:",
    ],
    "i12_reused_from_nothing": [
        lambda world: spoil_row(world.done, 0, status="FAILED") and told(world.reused, 0),
        lambda world: spoil_row(world.reused, 3, item_path=[7]) and f"{world.reused.pk}:each:7",
        lambda world: spoil_row(world.reused, 1, cost_microcredits=5),
        lambda world: spoil_row(world.done, 1, origin_id=world.failed.pk) and told(world.reused, 1),
    ],
    "i13_nested_too_deep": [
        lambda world: spoil(world.child, depth=9),
    ],
}


def leave_file(world: World) -> str:
    """Leave a file of an execution that ended long ago, whose firing has never said that it wrote it."""
    writer = Writer(world.failed.pk, key="k")
    file = store([b"x"], owner_id=world.failed.owner_id, name="x", writer=writer)
    File.objects.filter(pk=file.pk).update(created_at=now() - timedelta(hours=4))
    spoil(world.failed, ended_at=now() - timedelta(hours=4))
    return str(file.pk)


CASES = [
    pytest.param(part, how, id=f"{part}-{number}")
    for part, ways in BREAKS.items()
    for number, how in enumerate(ways, 1)
]


def test_what_is_sound_breaks_nothing(world):
    assert check(grace_s=GRACE_S, skew_s=1.0) == []


@pytest.mark.parametrize(("part", "break_it"), CASES)
def test_what_is_broken_is_told(world, part, break_it):
    id_ = break_it(world)

    found = broken_by(part)

    assert len(found) == 1
    assert id_ in found[0]


class TestLine:
    PART = "i1_in_line_though_there_is_room"

    def test_is_stood_in_while_the_graph_has_no_room(self, world):
        before = broken_by(self.PART)

        world.limit_graph(IN_FLIGHT + 1)

        assert (before, broken_by(self.PART)) == ([], [(str(world.in_line.pk),)])

    def test_is_stood_in_while_the_owner_has_no_room(self, world, settings):
        world.limit_graph(None)
        settings.AGENTPLATFORM_MAX_RUNNING_PER_OWNER = IN_FLIGHT
        before = broken_by(self.PART)

        settings.AGENTPLATFORM_MAX_RUNNING_PER_OWNER = IN_FLIGHT + 1

        assert (before, broken_by(self.PART)) == ([], [(str(world.in_line.pk),)])

    def test_is_stood_in_while_nobody_has_room(self, world, settings):
        id_ = spoil(world.in_line, owner_id=make_user().pk, graph_id=make_published(NODES, LINKS).graph_id)
        settings.AGENTPLATFORM_MAX_IN_FLIGHT = IN_FLIGHT
        before = broken_by(self.PART)

        settings.AGENTPLATFORM_MAX_IN_FLIGHT = IN_FLIGHT + 1

        assert (before, broken_by(self.PART)) == ([], [(id_,)])

    @pytest.mark.parametrize(
        "make_room",
        [
            lambda world: spoil(world.running, status="FAILED", ended_at=now()),
            lambda world: spoil(world.running, status="WAITING", resumed_at=now()),
            lambda world: (
                world.ask(world.running, 2, WaitKind.APPROVAL, created_at=now())
                and spoil(world.running, status="WAITING")
            ),
        ],
        ids=["ended", "begun and suspended", "suspended"],
    )
    def test_is_left_soon_after_there_is_room(self, world, make_room):
        make_room(world)

        assert broken_by(self.PART) == []


class TestLimits:
    @pytest.mark.parametrize(
        ("value", "is_too_large"),
        [
            ("x" * 1024, False),
            ("x" * 1025, True),
            ("\N{EARTH GLOBE EUROPE-AFRICA}" * 257, True),
            ([1] * 500, False),
            ([1e300] * 100, False),
            (["a text that is repeated"] * 100, True),
        ],
    )
    def test_a_value_may_be_as_large_as_the_settings_say(self, world, settings, value, is_too_large):
        # Random texts beside it take more room than one value may, however well the row is compressed.
        settings.AGENTPLATFORM_MAX_OUTPUT_BYTES = 1024
        filling = [str(uuid4()) for _ in range(100)]

        id_ = spoil_row(world.done, 1, outputs=json.dumps({"output": [*filling, value]}))

        assert broken_by("i13_value_too_large") == ([(id_,)] if is_too_large else [])

    def test_a_pin_may_have_as_many_items_as_the_settings_say(self, world, settings):
        id_ = spoil_row(world.done, 2, outputs=json.dumps({"item": list(range(10))}))

        settings.AGENTPLATFORM_MAX_ITEMS = 10
        assert broken_by("i13_value_too_large") == []

        settings.AGENTPLATFORM_MAX_ITEMS = 9
        assert broken_by("i13_value_too_large") == [(id_,)]

    def test_all_values_of_a_firing_may_be_as_large_as_the_settings_say(self, world, settings):
        settings.AGENTPLATFORM_MAX_FIRING_BYTES = 1024
        spoil_row(world.done, 3, outputs=json.dumps({"output": [str(uuid4()) for _ in range(50)]}))

        id_ = spoil_row(world.done, 1, outputs=json.dumps({"output": [str(uuid4()) for _ in range(100)]}))

        assert broken_by("i13_firing_too_large") == [(id_,)]

    def test_an_execution_may_have_as_many_firings_as_the_settings_say(self, world, settings):
        settings.AGENTPLATFORM_MAX_FIRINGS = 4
        assert broken_by("i13_too_many_firings") == []

        settings.AGENTPLATFORM_MAX_FIRINGS = 3
        assert [sorted(ids) for ids in broken_by("i13_too_many_firings")] == [
            sorted([str(world.done.pk), str(world.reused.pk)])
        ]

    def test_an_execution_may_start_as_many_others_as_the_settings_say(self, world, settings):
        settings.AGENTPLATFORM_MAX_CHILD_EXECUTIONS = 0

        assert broken_by("i13_too_many_children") == [(str(world.parent.pk),)]


#: Tested by classes of their own; what is promised of the ledger and of deliveries is in files of their own.
OTHERS = {
    "i8_due_and_not_told",
    "i10_told_outside_what_is_not_so",
    "i10_telling_is_switched_off",
    "i1_in_line_though_there_is_room",
    "i13_value_too_large",
    "i13_firing_too_large",
    "i13_too_many_firings",
    "i13_too_many_children",
}


def test_every_part_is_broken_by_a_test():
    assert {part.name for part in all_parts() if part.code not in ("I5", "I6", "I7")} == {*BREAKS, *OTHERS}


def test_every_promise_is_checked():
    checked = {part.code for part in all_parts()}

    assert [one.code for one in INVARIANTS] == [f"I{number}" for number in range(1, 14)]
    # What is encrypted is no matter of SQL: see tests/security/test_canaries.py.
    assert checked | {"I11"} == {one.code for one in INVARIANTS}


@pytest.mark.parametrize("part", all_parts(), ids=lambda part: part.name)
def test_every_part_says_what_holds_and_why_it_can_not_lie(part):
    text = (invariants.FOLDER / f"{part.name}.sql").read_text()

    assert part.sentence.endswith(".")
    assert "-- Can not lie" in text


class TestGrace:
    def test_is_given_to_what_is_under_way(self, world):
        spoil_row(world.running, 2, lease_expires_at=now() - timedelta(seconds=40))

        parts = {grace_s: {violation.part for violation in check(grace_s=grace_s)} for grace_s in (50, 30)}

        assert parts == {50: set(), 30: {"i8_lease_has_run_out", "i8_nobody_carries_it_on"}}

    def test_covers_a_lease_and_the_longest_place_in_line(self, settings):
        settings.AGENTPLATFORM_LEASE_S, settings.AGENTPLATFORM_RECONCILE_S = 10.0, 5.0

        assert invariants.default_grace_s() == 340

    def test_is_not_needed_by_what_has_ended(self):
        execution = make_execution(status=Status.SUCCEEDED)
        make_node_execution(execution)

        assert check(grace_s=0, skew_s=0) == []


class TestSkew:
    def test_is_given_to_clocks_that_differ(self, world):
        spoil_row(world.done, 7, started_at=world.born + timedelta(seconds=9.5))

        assert check(grace_s=GRACE_S, skew_s=2) == []
        assert [violation.code for violation in check(grace_s=GRACE_S, skew_s=1)] == ["I2"]


def test_tells_so_many_ids_and_that_there_are_more(world):
    for place in range(3):
        spoil_row(world.done, place, lease_expires_at=now())

    few = check(grace_s=GRACE_S, skew_s=1.0, limit=2)
    all_ = check(grace_s=GRACE_S, skew_s=1.0, limit=3)

    assert [(len(violation.ids), violation.has_more) for violation in few + all_] == [(2, True), (3, False)]


def test_fences_of_before_the_sequence_are_left_out(world):
    for place in (1, 2, 3, 4):
        spoil_row(world.done, place, fence=1)

    assert check(grace_s=GRACE_S, skew_s=1.0) == []


@pytest.mark.django_db(transaction=True)
def test_looks_at_one_snapshot_and_can_change_nothing():
    found = invariants.survey()
    next(found)

    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        isolation = cursor.fetchone()[0]
        cursor.execute("SHOW transaction_read_only")
        is_read_only = cursor.fetchone()[0]
    rest = list(found)

    assert (isolation, is_read_only) == ("repeatable read", "on")
    assert [finding.invariant.code for finding in rest] == [
        "I2",
        "I3",
        "I4",
        "I5",
        "I6",
        "I7",
        "I8",
        "I9",
        "I10",
        "I11",
        "I12",
        "I13",
    ]
    assert not connection.in_atomic_block


class TestCommand:
    def test_tells_one_line_for_each_promise(self, world):
        told = command()

        assert "I3 one committed output set per firing: holds (" in told
        assert len(told.splitlines()) == len(INVARIANTS)

    def test_counts_what_it_looked_at(self, world):
        told = command("--only", "i1,I3")

        assert f"({Execution.objects.count():,} looked at)" in told
        assert f"({NodeExecution.objects.count():,} looked at)" in told
        assert len(told.splitlines()) == 2

    def test_exits_with_the_ids_of_what_breaks_a_promise(self, world):
        id_ = spoil_row(world.done, 3, status="RUNNING", lease_expires_at=now())
        out = StringIO()

        with pytest.raises(CommandError, match="I2, I4 do not hold") as refusal:
            command("--only", "I2,I4", out=out)

        assert refusal.value.returncode == 1
        assert "I2 what has ended is final: does not hold" in out.getvalue()
        assert f"      {id_}\n" in out.getvalue()

    def test_tells_programs_the_same(self, world):
        id_ = spoil(world.child, depth=9)
        out = StringIO()

        with pytest.raises(CommandError):
            command("--json", "--only", "I13", "--limit", "1", out=out)

        told = json.loads(out.getvalue())
        (bounded,) = told["invariants"]
        assert told["holds"] is False
        assert (bounded["code"], bounded["holds"], bounded["violations"][0]["ids"]) == ("I13", False, [id_])

    def test_looks_only_at_the_last_days_if_asked(self, world):
        spoil(world.child, depth=9)

        assert "I13 everything is bounded: holds (0 looked at)" in command("--only", "I13", "--days", "0.01")

    def test_says_how_long_each_part_took(self, world):
        assert " s  i13_nested_too_deep" in command("--only", "I13", verbosity=2)

    @pytest.mark.parametrize("only", ["I0", "I99", "everything"])
    def test_refuses_what_it_can_not_check(self, only):
        with pytest.raises(CommandError, match=f"{only.upper()} can not be checked; choose from I1, I2"):
            command("--only", only)


def command(*arguments: str, out: StringIO | None = None, **options: Any) -> str:
    """Run the command over a world that has been still for two hours; return what it printed."""
    out = out or StringIO()
    call_command("check_invariants", "--grace", str(GRACE_S), "--skew", "1", *arguments, stdout=out, **options)
    return out.getvalue()
