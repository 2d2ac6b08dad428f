"""What a retry spares: never more than what a fresh run would do the same, and all of that where nothing stands before it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentplatform.lib.errors import AppError
from blocks.sdk import BlockError, BlockType
from executions.engine.compile import Limits
from executions.engine.items import ERROR_PIN, Outcome, Path
from executions.engine.plan import Plan, PlanNode, plan
from executions.engine.progress import Firing, Progress
from executions.engine.reuse import Earlier, Reuse, ValuesOf, reusable, same_json, unchanged_nodes
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import NodeStatus
from graphs.pins import assemble
from tests.blocks import node
from tests.durable.events import live_undisturbed
from tests.durable.kept import Row
from tests.durable.probes import CURRENT, Manner, run_as_platform
from tests.durable.world import World, rows_of
from tests.reference import interpret
from tests.strategies import Drawn, graphs, random_graph

pytestmark = pytest.mark.usefixtures("in_memory")

Rows = dict[tuple[str, Path], Earlier]
#: Says which firings fail, whatever their block does.
Fails = Callable[[str, Path], bool]
NOBODY = frozenset[str]()
FIRED = (NodeStatus.SUCCEEDED, NodeStatus.FAILED)
VALUES = ["x", "y", 1, 2, 3, None, True, ["p"], {"k": "v"}, 1.0]


def never(key: str, path: Path) -> bool:
    return False


def sometimes(seed: int) -> Fails:
    return lambda key, path: crc32(f"{seed}{key}{path}".encode()) % 7 == 0


def values_for(inputs: Mapping[str, Any]) -> ValuesOf:
    """Return what blocks are given in an execution with these inputs."""

    def values_of(node: PlanNode, firing: Firing) -> dict[str, Any] | None:
        return given_to(node, firing.arrived, inputs)

    return values_of


def given_to(node: PlanNode, arrived: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        values = assemble(node.constants, list(arrived.items()))
    except AppError:
        return None
    if node.block.block_type is BlockType.INPUT:
        values["value"] = inputs[values["name"]] if values["name"] in inputs else values.get("default")
    return values


def ending(node: PlanNode, values: dict[str, Any] | None, *, fails: bool) -> Outcome:
    """Run a test block once."""
    spec = NodeSpec(node.key, node.block_id, node.constants, node.on_error, node.block)
    outputs: dict[str, list[Any]] = {}
    try:
        if fails or values is None:
            raise BlockError("Not now.", code="FLAKY")
        for pin, value in run_as_platform(spec, values):
            if pin == ERROR_PIN:
                raise BlockError(str(value))
            outputs.setdefault(pin, []).append(value)
    except BlockError as error:
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        return Outcome(NodeStatus.FAILED, {ERROR_PIN: [told]} if node.handles_errors else {})
    return Outcome(NodeStatus.SUCCEEDED, outputs)


def executed(planned: Plan, inputs: Mapping[str, Any], chance: Random, fails: Fails = never) -> Rows:
    """Run a graph from its beginning and return its rows as they are stored; what a failure stopped is missing by chance."""
    progress = Progress(planned, range(len(planned.segments)), done=(), known={})
    rows: Rows = {}
    waiting = progress.take_ready()
    while waiting:
        firing = waiting.pop(chance.randrange(len(waiting)))
        here = planned.nodes[firing.node]
        values = given_to(here, firing.arrived, inputs)
        outcome = ending(here, values, fails=fails(here.key, firing.path))
        rows[here.key, firing.path] = Earlier(outcome.status, as_stored(values or {}), as_stored_outcome(outcome))
        progress.resolve(firing.node, firing.path, outcome)
        waiting += progress.take_ready()
    if fails is never:
        return rows
    return {place: row for place, row in rows.items() if chance.random() < 0.9}


def as_stored(value: Any) -> Any:
    """Return a value as Postgres gives it back."""
    return json.loads(json.dumps(value, sort_keys=True))


def as_stored_outcome(outcome: Outcome) -> Outcome:
    return Outcome(outcome.status, as_stored(outcome.outputs))


def carried_on(drawn: Drawn, reuse: Reuse, before: Rows, seed: int) -> dict[tuple[str, Path], Row]:
    """Run what is left, as workers do, and return the rows of it all."""
    # What a failure stops is tried elsewhere.
    drawn = replace(drawn, nodes=[replace(node, on_error="continue") for node in drawn.nodes])
    world = CURRENT.host = World(drawn, [Manner()], Limits(lanes=2, chunk=2))
    standing = {
        place: Row(NodeStatus.SUCCEEDED, inputs=before[place].inputs, outputs=before[place].outcome.outputs)
        for place in reuse.reused
    } | rows_of(world.plan, reuse.closed)
    try:
        # Without anything left to run, nothing is started.
        if not reuse.will_run:
            return standing
        started = world.start(rows=standing, done=reuse.segments)
        world.add_worker()
        live_undisturbed(world, seed)
        return dict(world.database.kept[started.id].rows)
    finally:
        world.close()


def check_ends_as_a_fresh_run(
    old: Plan, before: Rows, drawn: Drawn, seed: int, *, excluded: frozenset[str], is_same_version: bool
) -> int:
    """Retry with what `drawn` is now, compare with a run from the beginning, and return how many firings were reused."""
    planned = plan(drawn.nodes, drawn.links)
    fresh = interpret(drawn.nodes, drawn.links, run_as_platform, drawn.inputs)

    reuse = reusable(
        planned,
        before=before,
        unchanged=None if is_same_version else unchanged_nodes(old, planned),
        excluded=excluded,
        values_of=values_for(drawn.inputs),
    )
    rows = carried_on(drawn, reuse, before, seed)

    found = {place: (str(row.status), tuple(row.missing)) for place, row in rows.items()}
    assert found == {place: (outcome.status, outcome.missing) for place, outcome in fresh.items()}
    for place, row in rows.items():
        if row.status is NodeStatus.SUCCEEDED:
            assert same_json(row.outputs, fresh[place].outputs)
    for key, path in reuse.reused:
        assert key not in excluded
        is_input = planned.nodes[planned.index_of[key]].block.block_type is BlockType.INPUT
        assert is_input or same_json(before[key, path].inputs, fresh[key, path].inputs), "it stands behind a change"
    ran = {key for key, path in rows if (key, path) not in reuse.reused and rows[key, path].status in FIRED}
    assert ran <= reuse.affected
    assert {key for key, _ in reuse.will_run} <= reuse.affected
    return len(reuse.reused)


def with_other_inputs(drawn: Drawn, chance: Random) -> Drawn:
    inputs = {name: chance.choice(VALUES) if chance.random() < 0.5 else value for name, value in drawn.inputs.items()}
    return replace(drawn, inputs=inputs)


def redrawn(drawn: Drawn, chance: Random) -> Drawn:
    """Change a graph as its owner might: a constant, a link, the order of links, a node more or less."""
    nodes, links = list(drawn.nodes), list(drawn.links)
    position = chance.randrange(len(nodes))
    here = nodes[position]
    match chance.choice(["constant", "on_error", "unlink", "reorder", "remove", "add"]):
        case "constant" if constants := {name: value for name, value in here.constants.items() if name != "name"}:
            name = chance.choice(sorted(constants))
            value = chance.choice([0, 1, 2, None]) if name == "count" else chance.choice(VALUES)
            nodes[position] = replace(here, constants={**here.constants, name: value})
        case "on_error":
            nodes[position] = replace(here, on_error="fail" if here.on_error == "continue" else "continue")
        case "unlink" if links:
            links.pop(chance.randrange(len(links)))
        case "reorder":
            chance.shuffle(links)
        case "remove" if len(nodes) > 1:
            nodes.pop(position)
            links = [link for link in links if here.key not in (link.source, link.sink)]
        case _:
            nodes.insert(0, node("late", "test.echo", input=1))
            links += [LinkSpec(here.key, "output", "late", "input")]
    return replace(drawn, nodes=nodes, links=links)


@pytest.mark.slow
@pytest.mark.parametrize("block_of_seeds", range(6))
def test_a_retry_ends_as_a_fresh_run_for_hundreds_of_graphs(block_of_seeds):
    reused = 0
    for seed in range(block_of_seeds * 100, block_of_seeds * 100 + 100):
        drawn, chance = random_graph(seed), Random(seed)
        planned = plan(drawn.nodes, drawn.links)
        before = executed(planned, drawn.inputs, chance, sometimes(seed))
        from_node = planned.downstream(chance.randrange(len(planned.nodes))) if seed % 4 == 3 else frozenset()
        excluded = frozenset(planned.nodes[index].key for index in from_node)
        now = with_other_inputs(drawn, chance) if seed % 2 else drawn

        reused += check_ends_as_a_fresh_run(planned, before, now, seed, excluded=excluded, is_same_version=True)

    assert reused > 300, "hardly anything was reused, so hardly anything was tried"


@pytest.mark.slow
@pytest.mark.parametrize("block_of_seeds", range(6))
def test_a_retry_on_a_newer_version_ends_as_a_fresh_run_of_it(block_of_seeds):
    reused = 0
    for seed in range(block_of_seeds * 100, block_of_seeds * 100 + 100):
        drawn, chance = random_graph(seed), Random(seed)
        planned = plan(drawn.nodes, drawn.links)
        before = executed(planned, drawn.inputs, chance, sometimes(seed) if seed % 3 else never)
        now = redrawn(drawn, chance)

        reused += check_ends_as_a_fresh_run(planned, before, now, seed, excluded=NOBODY, is_same_version=False)

    assert reused > 300, "hardly anything was reused, so hardly anything was tried"


@settings(max_examples=100, deadline=None)
@given(drawn=graphs(), seed=st.integers(0, 2**32))
def test_a_retry_ends_as_a_fresh_run(drawn, seed):
    chance = Random(seed)
    planned = plan(drawn.nodes, drawn.links)
    before = executed(planned, drawn.inputs, chance, sometimes(seed))

    now = with_other_inputs(drawn, chance)

    check_ends_as_a_fresh_run(planned, before, now, seed, excluded=NOBODY, is_same_version=True)


@pytest.mark.parametrize("seed", range(50))
def test_nothing_runs_again_where_everything_succeeded(seed):
    drawn = random_graph(seed)
    planned = plan(drawn.nodes, drawn.links)
    before = executed(planned, drawn.inputs, Random(seed))
    succeeded = {place for place, row in before.items() if row.status is NodeStatus.SUCCEEDED}

    reuse = retried(planned, before, drawn.inputs)

    assert set(reuse.reused) <= succeeded
    if succeeded == set(before):
        assert (set(reuse.reused), reuse.will_run, reuse.affected) == (succeeded, (), frozenset())
        assert reuse.segments == tuple(range(len(planned.segments)))


def retried(planned: Plan, before: Rows, inputs: Mapping[str, Any] | None = None, **changes: Any) -> Reuse:
    rule: dict[str, Any] = {"unchanged": None, "excluded": NOBODY, "values_of": values_for(inputs or {})}
    return reusable(planned, before=before, **rule | changes)


def line() -> tuple[list[NodeSpec], list[LinkSpec]]:
    """Return a graph in which an input goes through three nodes, the second of which waits."""
    nodes = [
        node("in", "test.input", name="in"),
        *(node(key, f"test.echo{io}") for key, io in [("a", ""), ("b", "-io")]),
    ]
    nodes.append(node("end", "test.output", name="out"))
    return nodes, [
        LinkSpec(*pair)
        for pair in [("in", "output", "a", "input"), ("a", "output", "b", "input"), ("b", "output", "end", "input")]
    ]


class TestReusable:
    def test_what_failed_runs_again_and_what_is_behind_it_may(self):
        planned = plan(*line())
        before = executed(planned, {"in": 1}, Random(1))
        before["b", ()] = Earlier(NodeStatus.FAILED, {"input": 1}, Outcome(NodeStatus.FAILED))

        reuse = retried(planned, before, {"in": 1})

        assert reuse.reused == (("in", ()), ("a", ()))
        assert reuse.will_run == (("b", ()),)
        assert reuse.affected == {"b", "end"}

    def test_what_was_cancelled_or_is_not_there_runs_again(self):
        planned = plan(*line())
        before = executed(planned, {"in": 1}, Random(1))
        before["a", ()] = Earlier(NodeStatus.CANCELLED, {"input": 1}, Outcome(NodeStatus.CANCELLED))

        reuse = retried(planned, before, {"in": 1})
        without = retried(planned, {place: row for place, row in before.items() if place[0] != "a"}, {"in": 1})

        assert reuse == without
        assert reuse.will_run == (("a", ()),)

    def test_another_input_runs_all_that_it_reaches(self):
        planned = plan(*line())
        before = executed(planned, {"in": 1}, Random(1))

        assert retried(planned, before, {"in": 2}).affected == {"in", "a", "b", "end"}
        assert retried(planned, before, {"in": True}).affected == {"in", "a", "b", "end"}
        assert retried(planned, before, {"in": 1.0}).affected == frozenset()

    def test_excluded_nodes_run_again(self):
        planned = plan(*line())
        before = executed(planned, {"in": 1}, Random(1))

        reuse = retried(planned, before, {"in": 1}, excluded=frozenset({"b", "end"}))

        assert (reuse.reused, reuse.will_run) == ((("in", ()), ("a", ())), (("b", ()),))

    def test_changed_nodes_run_again(self):
        planned = plan(*line())
        before = executed(planned, {"in": 1}, Random(1))

        reuse = retried(planned, before, {"in": 1}, unchanged=frozenset({"in", "a", "end"}))

        assert reuse.will_run == (("b", ()),)

    def test_of_many_items_only_those_that_failed_run_again(self):
        nodes = [
            node("many", "test.stream", input="i", count=4),
            node("each", "test.echo-io"),
            node("after", "test.echo-io"),
            node("all", "test.collect"),
        ]
        links = [LinkSpec("many", "item", "each", "input"), LinkSpec("each", "output", "after", "input")]
        planned = plan(nodes, [*links, LinkSpec("after", "output", "all", "item")])
        before = executed(planned, {}, Random(1))
        before["each", (2,)] = replace(before["each", (2,)], status=NodeStatus.FAILED)

        reuse = retried(planned, before)

        assert reuse.will_run == (("each", (2,)),)
        assert [path for key, path in reuse.reused if key == "after"] == [(0,), (1,), (3,)]
        assert reuse.affected == {"each", "after", "all"}

    def test_paths_that_never_fire_are_closed_again(self):
        nodes = [node("way", "test.branch", input=1), node("yes", "test.echo"), node("no", "test.echo")]
        planned = plan(nodes, [LinkSpec("way", "yes", "yes", "input"), LinkSpec("way", "no", "no", "input")])
        before = executed(planned, {}, Random(1))

        reuse = retried(planned, before)

        assert len(reuse.reused) == 2
        assert [closed.status for closed in reuse.closed] == [NodeStatus.SKIPPED]
        assert reuse.segments == tuple(range(len(planned.segments)))

    def test_what_can_not_be_given_its_values_runs_and_fails_again(self):
        planned = plan(*line())
        before = executed(planned, {"in": 1}, Random(1))

        reuse = retried(planned, before, values_of=lambda node, firing: None)

        assert reuse.will_run == (("in", ()),)


class TestUnchangedNodes:
    def test_a_version_that_is_the_same_has_no_changed_node(self):
        nodes, links = line()

        assert unchanged_nodes(plan(nodes, links), plan(nodes, links)) == {"in", "a", "b", "end"}

    def test_neither_the_place_of_a_node_nor_how_often_it_is_tried_is_a_change(self):
        nodes, links = line()
        moved = [replace(one, timeout_s=5.0) for one in reversed(nodes)]

        assert unchanged_nodes(plan(nodes, links), plan(moved, links)) == {"in", "a", "b", "end"}

    @pytest.mark.parametrize(
        "change",
        [
            {"block_id": "test.echo-cpu"},
            {"constants": {"input": True}},
            {"on_error": "continue"},
            {"block": node("b", "test.collect").block},
        ],
    )
    def test_what_a_node_is_counts(self, change):
        nodes, links = line()
        nodes[2] = replace(nodes[2], constants={"input": 1})

        changed = [*nodes[:2], replace(nodes[2], **change), *nodes[3:]]

        assert unchanged_nodes(plan(nodes, links), plan(changed, links)) == {"in", "a", "end"}

    @pytest.mark.parametrize(
        ("others", "changed"),
        [
            ([("in", "output", "b", "input", False)], {"b"}),
            ([("a", "output_#_key", "b", "input", False)], {"b"}),
            ([("a", "output", "b", "input", True)], {"b"}),
            ([("a", "output", "b", "input", False), ("in", "output", "b", "input", False)], {"b"}),
            ([("a", "error", "b", "input", False)], {"a", "b"}),
            ([], {"b"}),
        ],
    )
    def test_what_feeds_a_node_counts_and_whether_its_errors_are_dealt_with(self, others, changed):
        nodes, links = line()
        relinked = [link for link in links if link.sink != "b"] + [LinkSpec(*other) for other in others]

        assert unchanged_nodes(plan(nodes, links), plan(nodes, relinked)) == {"in", "a", "b", "end"} - changed

    def test_the_order_of_links_counts(self):
        nodes = [node("a", "test.source"), node("b", "test.source"), node("to", "test.echo")]
        links = [LinkSpec("a", "output", "to", "input"), LinkSpec("b", "output", "to", "input")]

        assert unchanged_nodes(plan(nodes, links), plan(nodes, links[::-1])) == {"a", "b"}

    def test_what_is_new_is_not_unchanged(self):
        nodes, links = line()

        assert unchanged_nodes(plan(nodes[:3], links[:2]), plan(nodes, links)) == {"in", "a", "b"}


class TestSameJson:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (1, 1.0),
            (0, -0.0),
            (1e23, 10**23),
            (2.0**60, 1152921504606847000),
            ({"a": 1, "b": [None]}, {"b": [None], "a": 1.0}),
            ([True, "x"], [True, "x"]),
        ],
    )
    def test_holds_what_json_does_not_tell_apart(self, one, other):
        assert same_json(one, other)
        assert same_json(other, one)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (True, 1),
            (False, 0.0),
            (None, False),
            (1, "1"),
            (1.5, "1.5"),
            (2**53 + 1, 2.0**53),
            ([], {}),
            ([1], [1, 1]),
            ({"a": 1}, {"a": 1, "b": None}),
            ([[True]], [[1]]),
        ],
    )
    def test_tells_apart_what_json_does(self, one, other):
        assert not same_json(one, other)
        assert not same_json(other, one)

    @given(value=st.floats(allow_nan=False, allow_infinity=False))
    def test_a_float_is_what_is_read_back_of_its_digits(self, value):
        digits = Decimal(repr(value))
        read_back = int(digits) if digits == digits.to_integral_value() else value

        assert same_json(read_back, value)
