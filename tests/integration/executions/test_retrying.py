"""Going on from an ended execution: what stands is referred to, the rest runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest

from blocks import registry
from blocks.sdk import Block, BlockCostConfig, BlockError, Effects, Placement
from executions import retrying
from executions.engine.compile import Lane, runnable
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import NodeStatus, Status
from executions.errors import InputsInvalid, NotEnded, NothingToRetry, RetryInvalid
from executions.messages import Work
from executions.models import Execution, NodeExecution
from executions.plans import plan_of
from executions.retrying import Ask, Mode, Version
from executions.runner import run_lanes
from graphs.documents import GraphModel, store
from graphs.models import GraphVersion
from graphs.services import publish
from tests.blocks import AnyInput, AnyOutput, facts_of, node
from tests.factories import make_execution, make_published

pytestmark = pytest.mark.django_db(transaction=True)


class Shaky(Block):
    """Fails while it is told to, and counts how often it ran."""

    id = "retrying.shaky"
    name = "Shaky"
    description = "Fails for what it is told to fail for."
    placement = Placement.IO
    effects = Effects.IDEMPOTENT
    cost_config = BlockCostConfig("run", 0.5)
    input_schema, output_schema = AnyInput, AnyOutput
    fails_for: ClassVar[set[Any]] = set()
    ran: ClassVar[list[Any]] = []

    async def execute(self, input_data: AnyInput) -> AsyncIterator[tuple[str, Any]]:
        """Write down that it ran, then fail or hand on."""
        self.ran.append(input_data.input)
        if input_data.input in self.fails_for:
            raise BlockError("Told to.", code="SHAKY")
        yield "output", input_data.input


@pytest.fixture(autouse=True)
def shaky() -> type[Shaky]:
    registry.register(Shaky)
    Shaky.fails_for, Shaky.ran = set(), []
    return Shaky


def line() -> GraphVersion:
    """Return a graph of an input, two costly nodes in a row, and an output."""
    return make_published(
        [
            node("number", "test.input", name="number"),
            NodeSpec("first", Shaky.id, block=facts_of(Shaky)),
            NodeSpec("second", Shaky.id, block=facts_of(Shaky)),
            node("result", "test.output", name="result"),
        ],
        [
            LinkSpec("number", "output", "first", "input"),
            LinkSpec("first", "output", "second", "input"),
            LinkSpec("second", "output", "result", "input"),
        ],
    )


def each() -> GraphVersion:
    """Return a graph that runs a costly node for each of three items, and gathers what comes."""
    return make_published(
        [
            node("items", "test.stream", input="s", count=3),
            NodeSpec("each", Shaky.id, on_error="continue", block=facts_of(Shaky)),
            node("all", "test.collect"),
            node("result", "test.output", name="result"),
        ],
        [
            LinkSpec("items", "item", "each", "input"),
            LinkSpec("each", "output", "all", "item"),
            LinkSpec("all", "items", "result", "input"),
        ],
    )


def carried_out(execution: Execution) -> Execution:
    """Run an execution to its end in this process."""
    for _ in range(10):
        execution.refresh_from_db()
        if execution.is_final:
            return execution
        plan = plan_of(execution.version_id)
        segments = runnable(plan, execution.segments_done)
        run_lanes([Work(execution.pk, Lane("default", tuple(segments)))])
    raise AssertionError(f"{execution.status} after ten rounds")


def ran(version: GraphVersion, **inputs: Any) -> Execution:
    return carried_out(make_execution(version, inputs=inputs))


def gone_on(execution: Execution, ask: Ask) -> Execution:
    return carried_out(retrying.retry(execution, ask, owner_id=execution.owner_id))


class TestFromTheFailedNodes:
    def test_runs_what_failed_and_what_follows_and_nothing_else(self, shaky):
        version = line()
        shaky.fails_for = {7}
        ended = ran(version, number=7)
        shaky.fails_for = set()
        second = NodeExecution.objects.get(execution=ended, node_key="first")

        new = gone_on(ended, Ask())

        assert (ended.status, second.status) == (Status.FAILED, NodeStatus.FAILED)
        assert (new.status, new.outputs) == (Status.SUCCEEDED, {"result": 7})
        assert new.retried_from_id == ended.pk
        assert shaky.ran == [7, 7, 7]

    def test_pays_only_for_what_it_runs(self, shaky):
        version = line()
        first = ran(version, number=1)

        again = gone_on(first, Ask(mode=Mode.FROM_NODE, node="second"))

        assert (first.cost_microcredits, again.cost_microcredits) == (1_000_000, 500_000)
        assert again.outputs == first.outputs

    def test_refers_to_the_firing_that_ran_also_over_several_retries(self, shaky):
        first = ran(line(), number=1)
        second = gone_on(first, Ask(mode=Mode.FROM_NODE, node="second"))

        third = gone_on(second, Ask(mode=Mode.FROM_NODE, node="result"))

        origins = dict(NodeExecution.objects.filter(execution=third).values_list("node_key", "origin_id"))
        assert origins == {"number": first.pk, "first": first.pk, "second": second.pk, "result": None}
        row = NodeExecution.objects.filter(execution=third, node_key="second").with_origins().get()
        assert (row.outputs, row.own_outputs, row.own_inputs) == ({}, {"output": [1]}, {"input": 1})
        assert third.outputs == {"result": 1}

    def test_runs_only_the_items_that_failed(self, shaky):
        shaky.fails_for = {"s.1"}
        ended = ran(each())
        shaky.fails_for, shaky.ran = set(), []

        new = gone_on(ended, Ask())

        assert (ended.status, ended.outputs) == (Status.SUCCEEDED, {"result": ["s.0", "s.2"]})
        assert new.outputs == {"result": ["s.0", "s.1", "s.2"]}
        assert shaky.ran == ["s.1"]

    def test_is_refused_where_nothing_failed(self):
        with pytest.raises(NothingToRetry):
            retrying.retry(ran(line(), number=1), Ask(), owner_id=1)

    def test_is_refused_before_the_end(self):
        with pytest.raises(NotEnded):
            retrying.retry(make_execution(line(), inputs={"number": 1}), Ask(), owner_id=1)

    def test_leaves_the_ended_execution_as_it_is(self, shaky):
        shaky.fails_for = {7}
        ended = ran(line(), number=7)
        before = Execution.objects.filter(pk=ended.pk).values().get()

        gone_on(ended, Ask())

        assert Execution.objects.filter(pk=ended.pk).values().get() == before


class TestWithOtherInputs:
    def test_runs_what_depends_on_them(self, shaky):
        ended = ran(line(), number=1)

        new = gone_on(ended, Ask(mode=Mode.INPUTS, inputs={"number": 2}))

        assert new.outputs == {"result": 2}
        assert shaky.ran == [1, 1, 2, 2]

    def test_refuses_inputs_that_do_not_fit(self):
        with pytest.raises(InputsInvalid):
            retrying.retry(ran(line(), number=1), Ask(mode=Mode.INPUTS, inputs={"other": 2}), owner_id=1)

    def test_refuses_to_go_without_any(self):
        with pytest.raises(RetryInvalid):
            retrying.retry(ran(line(), number=1), Ask(mode=Mode.INPUTS), owner_id=1)


class TestOnTheNewestVersion:
    def test_runs_the_nodes_that_are_other_ones_now(self, shaky):
        version = line()
        ended = ran(version, number=1)
        document = GraphModel.load(version)
        document.nodes = [
            one.model_copy(update={"on_error": "continue"} if one.id == "second" else {}) for one in document.nodes
        ]
        newest = publish(store(document))

        new = gone_on(ended, Ask(version=Version.NEWEST))

        assert new.version_id == newest.pk
        assert shaky.ran == [1, 1, 1]


class TestPreview:
    def test_says_what_stands_what_runs_and_what_it_will_cost(self):
        ended = ran(line(), number=1)

        preview = retrying.preview(ended, Ask(mode=Mode.FROM_NODE, node="second"))

        assert preview.reused == {"number": 1, "first": 1}
        assert [(one.key, one.firings) for one in preview.runs] == [("second", 1), ("result", 0)]
        assert preview.effects == ("second",)
        assert preview.estimated_microcredits == 500_000

    def test_starts_nothing(self):
        ended = ran(line(), number=1)

        retrying.preview(ended, Ask(mode=Mode.FROM_NODE, node="second"))

        assert Execution.objects.count() == 1

    def test_refuses_a_node_that_is_not_there(self):
        with pytest.raises(RetryInvalid):
            retrying.preview(ran(line(), number=1), Ask(mode=Mode.FROM_NODE, node="nobody"))
