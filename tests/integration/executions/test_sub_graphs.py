"""A firing that calls a sub-graph gets its outputs, its failure or its wait, and pays for it once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import redis
from django.db import connection

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from blocks import registry
from blocks.sdk import Block, BlockCostConfig, BlockError, BlockSchema, Placement, Retry
from blocks.sdk.waiting import WaitFor
from executions import children, runner, waits
from executions import drive as drives
from executions.children import Call, Caller, Child
from executions.engine.compile import Lane
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.errors import NotRunning
from executions.messages import Work
from executions.models import Execution, NodeExecution, Wait
from executions.needs import Needs
from executions.plans import plan_of
from graphs import services as graph_services
from graphs.models import GraphVersion
from tests.blocks import AnyInput, AnyOutput, node, number_of
from tests.factories import (
    document_of,
    make_batch,
    make_claim,
    make_ended,
    make_execution,
    make_published,
    make_user,
    rows_of,
)

pytestmark = pytest.mark.django_db(transaction=True)

LANE = Lane("default", (0,))
#: For which `test.fail-some` fails, and for which it does not.
BAD = next(number for number in range(99) if number_of(number) % 3 == 0)
GOOD = [number for number in range(99) if number_of(number) % 3][:2]


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        # The threads of this process live on; their connections must not outlive the test's database.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
def broker(redis_url: str) -> Iterator[redis.Redis]:
    """The broker of this process, empty before and after; no worker takes anything from it."""
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushdb()
        yield broker
        broker.flushdb()


@pytest.fixture
def owner() -> Any:
    return make_user()


def echo(owner: Any) -> GraphVersion:
    """Return a graph that gives back what it is given, after it has waited for nothing."""
    nodes = [
        node("item", "test.input", name="item"),
        node("echo", "test.echo-io"),
        node("out", "test.output", name="result"),
    ]
    links = [LinkSpec("item", "output", "echo", "input"), LinkSpec("echo", "output", "out", "input")]
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


def answer(execution: Execution, owner: Any) -> None:
    """Approve what an execution waits for."""
    wait = Wait.objects.open().get(execution_id=execution.pk, kind=WaitKind.APPROVAL)
    waits.answer(wait, by=owner, reply=waits.Reply(approved=True))


def calling(owner: Any, block_id: str, **constants: Any) -> GraphVersion:
    """Return a graph of one node that calls another graph, and the outputs of it."""
    nodes = [NodeSpec("call", block_id, constants), node("out", "test.output", name="result")]
    pin = {"agent-block": "output", "loop-block": "results", "while-block": "state"}[block_id]
    return make_published(nodes, [LinkSpec("call", pin, "out", "input")], owner)


class CallsInline(Block):
    """Calls a sub-graph although it says that it only computes."""

    id = "calls.inline"
    name = "Calls inline"
    description = "Calls a graph."
    placement = Placement.INLINE
    input_schema, output_schema = AnyInput, AnyOutput

    async def execute(self, input_data: AnyInput) -> AsyncIterator[tuple[str, Any]]:
        yield "output", await self.execute_subgraph(graph_id=input_data.input, inputs={"item": 1})


class LeavesBehind(Block):
    """Starts sub-graphs and does not wait for them."""

    class Input(BlockSchema):
        graph_id: str
        how: str

    id = "calls.leaves-behind"
    name = "Leaves behind"
    description = "Calls a graph twice."
    input_schema, output_schema = Input, AnyOutput

    async def execute(self, input_data: LeavesBehind.Input) -> AsyncIterator[tuple[str, Any]]:
        calls = [asyncio.ensure_future(self.execute_subgraph(graph_id=input_data.graph_id)) for _ in range(2)]
        if input_data.how == "takes too long":
            await asyncio.gather(*calls)
        await asyncio.sleep(0.5)
        if input_data.how == "fails":
            raise BlockError("No.", code="PROBE_FAILED")
        yield "output", 1


class FailsFirst(Block):
    """Fails in the first execution that it runs in, and costs something each time."""

    id = "calls.fails-first"
    name = "Fails first"
    description = "Fails once."
    input_schema, output_schema = AnyInput, AnyOutput
    cost_config = BlockCostConfig(cost_type="run", cost_per_unit=0.001)
    failed: ClassVar[list[str]] = []

    async def execute(self, input_data: AnyInput) -> AsyncIterator[tuple[str, Any]]:
        self.report_usage(input_tokens=3)
        if not self.failed:
            self.failed.append(self.idempotency_key)
            raise BlockError("Not yet.", code="PROBE_FAILED")
        yield "output", 1


class CallsTwo(Block):
    """Calls one graph after the other."""

    class Input(BlockSchema):
        good: str
        bad: str

    id = "calls.two"
    name = "Calls two"
    description = "Calls two graphs."
    input_schema, output_schema = Input, AnyOutput

    async def execute(self, input_data: CallsTwo.Input) -> AsyncIterator[tuple[str, Any]]:
        await self.execute_subgraph(graph_id=input_data.good, inputs={"item": 1})
        yield "output", await self.execute_subgraph(graph_id=input_data.bad)


class CallsTogether(Block):
    """Calls a graph twice at the same time, in each of the ways there are."""

    class Input(BlockSchema):
        graph_id: str
        how: str

    id = "calls.together"
    name = "Calls together"
    description = "Calls a graph twice."
    input_schema, output_schema = Input, AnyOutput

    async def execute(self, input_data: CallsTogether.Input) -> AsyncIterator[tuple[str, Any]]:
        calls = [self.execute_subgraph(graph_id=input_data.graph_id, inputs={"item": number}) for number in range(2)]
        if input_data.how == "gather":
            results = await asyncio.gather(*calls)
        elif input_data.how == "gather with exceptions":
            results = await asyncio.gather(*calls, return_exceptions=True)
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(call) for call in calls]
            results = [task.result() for task in tasks]
        yield "output", results


def endless(owner: Any) -> GraphVersion:
    """Return a graph that calls itself."""
    graph = graph_services.create(owner_id=owner.pk, document=document_of([node("only", "test.source")]))
    document = document_of([NodeSpec("call", "agent-block", {"agent_id": str(graph.pk)})])
    return graph_services.publish(graph_services.save_draft(graph, document))


def run(version: GraphVersion) -> Execution:
    """Run a new execution and return what became of it."""
    return drive(make_execution(version))


def drive(execution: Execution) -> Execution:
    """Run the first lane of an execution on a thread, as a worker does, and return what became of it."""

    def work() -> None:
        try:
            runner.run_lanes([Work(execution.pk, LANE)])
        finally:
            connection.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "The lane waits for ever."
    execution.refresh_from_db()
    return execution


def children_of(execution: Execution) -> list[Execution]:
    return list(Execution.objects.filter(parent_id=execution.pk).order_by("call_key", "created_at"))


class TestACall:
    def test_gives_the_outputs_of_the_sub_graph(self, owner):
        child = echo(owner)

        ended = run(calling(owner, "agent-block", agent_id=str(child.graph_id), inputs={"item": 7}))

        assert (ended.status, ended.error_message) == (Status.SUCCEEDED, "")
        assert ended.outputs == {"result": {"result": 7}}

    def test_goes_on_although_its_owner_may_not_log_in_any_more(self, owner):
        calls = make_execution(calling(owner, "agent-block", agent_id=str(echo(owner).graph_id), inputs={"item": 7}))
        type(owner).objects.filter(pk=owner.pk).update(is_active=False)

        ended = drive(calls)

        assert (ended.status, ended.outputs) == (Status.SUCCEEDED, {"result": {"result": 7}})

    def test_leaves_links_both_ways(self, owner):
        child = echo(owner)

        ended = run(calling(owner, "agent-block", agent_id=str(child.graph_id), inputs={"item": 7}))

        (row,) = children_of(ended)
        assert (row.root_id, row.depth, row.parent_node, row.parent_path, row.call_key) == (
            ended.pk,
            1,
            "call",
            [],
            "0",
        )
        assert (row.version_id, row.owner_id, row.status) == (child.pk, owner.pk, Status.SUCCEEDED)

    def test_for_each_item_keeps_their_order(self, owner):
        child = echo(owner)

        ended = run(calling(owner, "loop-block", subgraph_id=str(child.graph_id), items=list(range(25))))

        assert ended.outputs == {"result": [{"result": number} for number in range(25)]}
        assert len(children_of(ended)) == 25


class TestAFailure:
    def test_reaches_the_caller_with_its_code_and_place(self, owner):
        nodes = [node("item", "test.input", name="item"), node("bad", "test.fail-some-io")]
        child = make_published(nodes, [LinkSpec("item", "output", "bad", "input")], owner)

        ended = run(calling(owner, "agent-block", agent_id=str(child.graph_id), inputs={"item": BAD}))

        (row,) = children_of(ended)
        assert (ended.status, ended.error_code, ended.error_node) == (Status.FAILED, "PROBE_FAILED", "call")
        assert f"'{child.graph.name}' failed at bad" in ended.error_message
        assert str(row.pk) in ended.error_message

    @pytest.mark.parametrize(
        ("inputs", "code"),
        [({}, "EXECUTION_INPUTS_INVALID"), ({"item": 1, "other": 2}, "EXECUTION_INPUTS_INVALID")],
    )
    def test_of_the_inputs_is_one_of_the_call(self, owner, inputs, code):
        child = echo(owner)

        ended = run(calling(owner, "agent-block", agent_id=str(child.graph_id), inputs=inputs))

        assert (ended.status, ended.error_code) == (Status.FAILED, code)
        assert children_of(ended) == []

    @pytest.mark.parametrize("whose", ["another's", "nobody's", "no id"])
    def test_is_the_same_for_a_graph_of_somebody_else_and_for_none(self, owner, whose):
        ids = {"another's": str(echo(make_user()).graph_id), "nobody's": str(uuid7()), "no id": "shout"}

        ended = run(calling(owner, "agent-block", agent_id=ids[whose], inputs={"item": 1}))

        assert (ended.status, ended.error_code) == (Status.FAILED, "GRAPH_NOT_FOUND")

    def test_of_some_items_leaves_the_others(self, owner):
        nodes = [
            node("item", "test.input", name="item"),
            node("some", "test.fail-some-io"),
            node("out", "test.output", name="n"),
        ]
        links = [LinkSpec("item", "output", "some", "input"), LinkSpec("some", "output", "out", "input")]
        child = make_published(nodes, links, owner)
        asked = {"subgraph_id": str(child.graph_id), "items": [*GOOD, BAD, *GOOD], "on_failure": "continue"}

        ended = run(calling(owner, "loop-block", **asked))

        errors = rows_of(ended.pk)["call", ()].outputs["errors"]
        assert ended.outputs == {"result": [{"n": number} for number in [*GOOD, *GOOD]]}
        assert [(error["index"], error["code"]) for error in errors[0]] == [(2, "PROBE_FAILED")]

    def test_of_a_block_that_only_computes_is_to_call_at_all(self, owner):
        registry.register(CallsInline)
        version = make_published([NodeSpec("call", CallsInline.id, {"input": str(echo(owner).graph_id)})], (), owner)

        ended = run(version)

        assert (ended.status, ended.error_code) == (Status.FAILED, "SUB_GRAPH_NOT_ALLOWED")

    def test_of_one_of_several_in_a_task_group_keeps_its_code(self, owner):
        registry.register(CallsTogether)
        nodes = [node("item", "test.input", name="item"), node("bad", "test.wrong-output", input=1)]
        bad = make_published(nodes, (), owner)
        call = NodeSpec("call", CallsTogether.id, {"graph_id": str(bad.graph_id), "how": "a task group"})

        ended = run(make_published([call], (), owner))

        assert (ended.status, ended.error_code) == (Status.FAILED, "OUTPUT_INVALID")


class TestNesting:
    def test_is_limited_in_depth(self, owner, settings):
        settings.AGENTPLATFORM_MAX_DEPTH = 3
        version = endless(owner)

        ended = run(version)

        below = Execution.objects.filter(root_id=ended.pk)
        assert (ended.status, ended.error_code) == (Status.FAILED, "RECURSION_LIMIT")
        assert sorted(below.values_list("depth", "status", "error_code")) == [
            (depth, Status.FAILED, "RECURSION_LIMIT") for depth in (1, 2, 3)
        ]

    def test_is_limited_in_number(self, owner, settings):
        settings.AGENTPLATFORM_MAX_CHILD_EXECUTIONS = 7
        asked = {"subgraph_id": str(echo(owner).graph_id), "items": list(range(10)), "on_failure": "collect"}

        ended = run(calling(owner, "loop-block", **asked))

        results = ended.outputs["result"]
        assert sum("error" in result for result in results) == 3
        assert {result["error"]["code"] for result in results if "error" in result} == {"CHILD_LIMIT"}
        assert len(children_of(ended)) == 7


class TestWhatIsLeftBehind:
    @pytest.mark.parametrize("how", ["fails", "ends", "takes too long"])
    def test_by_a_block_is_stopped(self, owner, how):
        registry.register(LeavesBehind)
        slow = make_published([NodeSpec("slow", "delay-block", {"seconds": 30})], (), owner)
        call = NodeSpec("call", LeavesBehind.id, {"graph_id": str(slow.graph_id), "how": how}, timeout_s=1.0)

        ended = run(make_published([call], (), owner))

        expected = {"fails": "PROBE_FAILED", "ends": "", "takes too long": "TIMEOUT"}
        assert ended.error_code == expected[how]
        assert {child.status for child in children_of(ended)} == {Status.CANCELLED}


class TestTryingAgain:
    def test_begins_anew_what_failed_and_takes_what_succeeded(self, owner):
        registry.register(FailsFirst, CallsTwo)
        FailsFirst.failed.clear()
        good, bad = echo(owner), make_published([NodeSpec("first", FailsFirst.id, {"input": 1})], (), owner)
        given = {"good": str(good.graph_id), "bad": str(bad.graph_id)}
        call = NodeSpec("call", CallsTwo.id, given, retry=Retry(attempts=3, delay_s=0.01))

        ended = run(make_published([call], (), owner))

        assert (ended.status, ended.error_message) == (Status.SUCCEEDED, "")
        assert [(one.call_key, one.graph_id, one.status) for one in children_of(ended)] == [
            ("0", good.graph_id, Status.SUCCEEDED),
            ("1", bad.graph_id, Status.FAILED),
            ("1", bad.graph_id, Status.SUCCEEDED),
        ]
        # A thousandth for each of the two tries.
        assert (ended.cost_microcredits, ended.input_tokens) == (2000, 6)


class TestBeginningAgain:
    def test_finds_what_was_started_before(self, owner, settings):
        """As after a crash: the lease of the first attempt has run out."""
        child = echo(owner)
        execution = make_execution(calling(owner, "loop-block", subgraph_id=str(child.graph_id), items=[5, 6]))
        settings.AGENTPLATFORM_LEASE_S = -1
        claim = make_claim(execution, "call")
        settings.AGENTPLATFORM_LEASE_S = 10
        caller = Caller(execution.pk, "call", (), claim.fence, owner.pk, 0)
        (before,) = children.begin([Call(caller, "1", True, graph_id=str(child.graph_id), inputs={"item": "before"})])

        ended = drive(execution)

        assert isinstance(before, Child)
        assert [row.pk for row in children_of(ended) if row.call_key == "1"] == [before.id]
        assert ended.outputs == {"result": [{"result": 5}, {"result": "before"}]}

    def test_is_not_kept_from_it_where_both_may_have_ended_workers(self, owner, settings):
        """Only one of those that workers were lost with begins at a time; who waits for a sub-graph must not keep it from beginning."""
        version = echo(owner)
        execution = make_execution(calling(owner, "agent-block", agent_id=str(version.graph_id), inputs={"item": 7}))
        settings.AGENTPLATFORM_LEASE_S = -1
        caller = Caller(execution.pk, "call", (), make_claim(execution, "call").fence, owner.pk, 0)
        (child,) = children.begin([Call(caller, "0", False, graph_id=str(version.graph_id), inputs={"item": 7})])
        assert isinstance(child, Child)
        make_claim(Execution.objects.get(pk=child.id), "echo")
        settings.AGENTPLATFORM_LEASE_S = 10
        NodeExecution.objects.all().update(crashes=1)

        ended = drive(execution)

        assert (ended.status, ended.outputs) == (Status.SUCCEEDED, {"result": {"result": 7}})

    @pytest.mark.parametrize(("code", "is_begun_anew"), [("", False), ("PROBE_FAILED", True)])
    def test_begins_what_failed_anew_only_if_it_has_failed_itself(self, owner, code, is_begun_anew):
        """An attempt without a code was cut short, as by a deploy."""
        version = echo(owner)
        execution = make_execution(calling(owner, "agent-block", agent_id=str(version.graph_id), inputs={"item": 7}))
        claim = make_claim(execution, "call")
        call = Call(
            Caller(execution.pk, "call", (), claim.fence, owner.pk, 0),
            "0",
            False,
            graph_id=str(version.graph_id),
            inputs={"item": 7},
        )
        (before,) = children.begin([call])
        assert isinstance(before, Child)
        Execution.objects.filter(pk=before.id).move(Status.FAILED, ended_at=now(), error_code="PROBE_FAILED")
        NodeExecution.objects.filter(execution=execution).update(history=[{"attempt": 1, "code": code}])

        (found,) = children.begin([replace(call, caller=replace(call.caller, has_past=True))])

        assert isinstance(found, Child)
        assert (found.id != before.id) == is_begun_anew

    def test_has_not_the_right_to_begin_what_the_next_one_is_at(self, owner):
        child = echo(owner)
        execution = make_execution(calling(owner, "agent-block", agent_id=str(child.graph_id), inputs={"item": 7}))
        claim = make_claim(execution, "call")
        late = Caller(execution.pk, "call", (), claim.fence - 1, owner.pk, 0)

        (refused,) = children.begin([Call(late, "0", False, graph_id=str(child.graph_id), inputs={"item": 7})])

        assert isinstance(refused, NotRunning)
        assert children_of(execution) == []


class TestAWait:
    def test_of_the_sub_graph_suspends_its_caller_until_it_ends(self, owner):
        below = approval(owner)
        execution = make_execution(calling(owner, "agent-block", agent_id=str(below.graph_id), inputs={"item": 7}))

        drive(execution)
        (child,) = children_of(execution)
        before = execution.status, child.status, rows_of(execution.pk)["call", ()].status
        answer(child, owner)
        drive(child)
        woken = rows_of(execution.pk)["call", ()].status
        drive(execution)

        assert before == (Status.WAITING, Status.WAITING, NodeStatus.WAITING)
        assert woken == NodeStatus.PENDING
        assert (execution.status, execution.outputs) == (Status.SUCCEEDED, {"result": {"result": 7}})
        assert set(Wait.objects.values_list("kind", "status")) == {
            (WaitKind.APPROVAL, WaitStatus.ANSWERED),
            (WaitKind.CHILD, WaitStatus.ANSWERED),
        }

    def test_of_some_makes_room_for_others_as_soon_as_one_ends(self, owner):
        asked = {"subgraph_id": str(approval(owner).graph_id), "items": [0, 1, 2], "max_parallel": 2}
        execution = make_execution(calling(owner, "loop-block", **asked))

        drive(execution)
        named = Wait.objects.get(kind=WaitKind.CHILD)
        other = next(child for child in children_of(execution) if child.pk != named.child_id)
        answer(other, owner)
        drive(other)
        drive(execution)

        assert execution.status == Status.WAITING
        assert [child.status for child in children_of(execution)].count(Status.WAITING) == 2
        assert len(children_of(execution)) == 3

    @pytest.mark.parametrize("how", ["gather", "gather with exceptions", "a task group"])
    def test_suspends_its_caller_however_that_calls_several_at_once(self, owner, how):
        registry.register(CallsTogether)
        call = NodeSpec("call", CallsTogether.id, {"graph_id": str(approval(owner).graph_id), "how": how})
        version = make_published(
            [call, node("out", "test.output", name="all")], [LinkSpec("call", "output", "out", "input")], owner
        )
        execution = make_execution(version)

        drive(execution)
        before = execution.status
        for child in children_of(execution):
            answer(child, owner)
            drive(child)
        drive(execution)

        assert before == Status.WAITING
        assert (execution.status, execution.outputs) == (Status.SUCCEEDED, {"all": [{"result": 0}, {"result": 1}]})

    def test_for_what_has_ended_in_the_same_moment_is_over_at_once(self, owner, broker):
        execution = make_execution(calling(owner, "agent-block", agent_id=str(echo(owner).graph_id)))
        claim = make_claim(execution, "call")
        child = make_execution(
            echo(owner), owner_id=owner.pk, status=Status.SUCCEEDED, parent_id=execution.pk, parent_node="call", depth=1
        )
        wait = WaitFor(WaitKind.CHILD, "child-0", child_id=str(child.pk))
        ended = make_ended(plan_of(execution.version_id), claim, NodeStatus.WAITING, wait=wait)

        drives.OF_LANES[Needs.SETTLED]([make_batch(execution, [ended])])

        assert rows_of(execution.pk)["call", ()].status == NodeStatus.PENDING
        assert broker.llen("default") == 1
