"""Whatever is lost, doubled, late or killed: each firing takes effect once, and every execution ends as the reference has it.

Lanes, firings, plans and decisions are the real ones; the database, the broker, people and time are those of `tests/durable`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from executions.engine.compile import Lane, Limits
from executions.engine.items import Outcome
from executions.engine.plan import plan as planned
from executions.engine.progress import ended_segments
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import NodeStatus, Status
from executions.leases import MAX_LOSSES
from tests.blocks import node
from tests.durable.database import LEASE_S
from tests.durable.events import EVENTS, LIMITS, MANNERS, happen, live_by_chance, occasions, world_by_chance
from tests.durable.kept import cut_finer
from tests.durable.probes import CURRENT, Manner, Way
from tests.durable.world import World
from tests.scale import many
from tests.strategies import Drawn, graphs

pytestmark = pytest.mark.usefixtures("in_memory")

#: By seed, in blocks; small graphs meet more of what matters in fewer events.
A_FEW, MANY_BLOCKS, BLOCK = 300, 12, many(180)
SIZES = ((4, 60), (6, 150), (12, 300))
#: An event of this weight is offered once for drawing, one of more weight more often.
UNIT = 40


@contextmanager
def history(world: World) -> Iterator[World]:
    """Run a history to its end, in which all that is broken heals."""
    CURRENT.host = world
    try:
        yield world
        world.heal()
    finally:
        world.close()


class Histories(RuleBasedStateMachine):
    """Histories of drawn graphs, which are shrunk to what matters in them."""

    @initialize(
        drawn=graphs(max_nodes=5),
        manners=st.lists(st.sampled_from(MANNERS), min_size=1, max_size=5),
        limits=st.sampled_from(LIMITS),
    )
    def begin(self, drawn: Drawn, manners: list[Manner], limits: Limits) -> None:
        self.world = CURRENT.host = World(drawn, manners, limits)
        self.is_sound = True
        self.world.start()
        self.world.add_worker()

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        self.is_sound = False
        likely = [name for name in occasions(self.world) for _ in range(-(-EVENTS[name].weight // UNIT))]
        happen(
            self.world, data.draw(st.sampled_from(likely)), lambda options: data.draw(st.sampled_from(list(options)))
        )
        self.is_sound = True

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            # What went wrong shall be reported, and not what follows from it.
            if self.is_sound:
                self.world.heal()
        finally:
            self.world.close()


def run_drawn(*, examples: int, events: int) -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=examples,
            stateful_step_count=events,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def run_by_chance(seeds: range) -> None:
    """Run a history for each seed; the note of a failure says which one to repeat."""
    for seed in seeds:
        nodes, events = SIZES[seed % len(SIZES)]
        try:
            with history(world_by_chance(seed, max_nodes=nodes)) as world:
                world.start()
                live_by_chance(world, seed, events=events)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
    print(f"{len(seeds)} histories kept every promise")


def test_keeps_every_promise_in_hundreds_of_histories():
    run_by_chance(range(A_FEW))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(1, MANY_BLOCKS + 1))
def test_keeps_every_promise_in_thousands_of_histories(block):
    run_by_chance(range(block * 1000, block * 1000 + BLOCK))


def test_keeps_every_promise_in_drawn_histories():
    run_drawn(examples=30, events=40)


@pytest.mark.slow
def test_keeps_every_promise_in_many_drawn_histories():
    run_drawn(examples=many(250), events=60)


def small(*nodes: NodeSpec, links: Sequence[LinkSpec] = (), chunk: int = 100) -> World:
    """Return a history of a graph that can be checked by eye."""
    return World(Drawn(list(nodes), list(links), {}), [Manner()], Limits(lanes=2, chunk=chunk))


class TestOnceWentWrong:
    """Each of these histories once broke a promise."""

    def test_suspended_items_of_a_stream_are_not_spread_again_and_again(self):
        stream = node("stream", "test.stream", input="x", count=3)
        world = small(
            stream, node("each", "test.echo-io"), links=[LinkSpec("stream", "item", "each", "input")], chunk=1
        )

        with history(world):
            kept_id = world.start().id
            world.run_all(world.add_worker(), Way.WAIT)

            kept = world.database.kept[kept_id]
            assert kept.status is Status.WAITING
            assert [row.status for place, row in kept.rows.items() if place[0] == "each"] == [NodeStatus.WAITING] * 3

    def test_workers_that_live_are_not_counted_as_lost_with_what_they_could_not_hold(self):
        world = small(node("only", "test.echo-io", input=1))

        with history(world):
            kept_id = world.start().id
            workers = [world.add_worker(), world.add_worker()]
            for times in range(MAX_LOSSES + 2):
                holder, slow = workers[times % 2], workers[(times + 1) % 2]
                world.begin_all(holder)
                # Whoever had it before hears that it is lost, lets go, and says that it lives.
                for _ in range(2):
                    slow.beat(world.database)
                    world.begin_all(slow)
                world.advance(LEASE_S + 1.0)
                world.reconcile()

            row = world.database.kept[kept_id].rows["only", ()]
            assert (row.crashes, row.lost) == (MAX_LOSSES + 1, ())
            world.run_all(workers[0])
            assert world.database.kept[kept_id].status is Status.SUCCEEDED

    def test_a_message_of_another_release_is_left_alone(self):
        chain = [LinkSpec("a", "output", "b", "input"), LinkSpec("b", "output", "c", "input")]
        nodes = [node("a", "test.echo-io", input=1), node("b", "test.echo-io"), node("c", "test.echo-io")]
        world = small(*nodes, links=chain)

        with history(world):
            old = world.add_worker()
            world.deploy()
            kept_id = world.start().id
            # The old release has one segment where the new one has three.
            world.send(kept_id, [Lane("default", (2,))])
            world.run_all(old)

            assert not old.tasks

    def test_what_two_lanes_of_another_release_do_side_by_side_comes_to_an_end(self):
        links = [LinkSpec("a", "output", "b", "input")]
        nodes = [node("a", "test.echo-io", input=1), node("b", "test.echo-io"), node("c", "test.echo-io", input=2)]
        world = small(*nodes, links=links, chunk=1)

        with history(world):
            kept_id = world.start().id
            world.messages.clear()
            world.deploy()
            worker = world.add_worker()
            world.launch([kept_id])
            world.run_all(worker)

            assert all(row.is_final for row in world.database.kept[kept_id].rows.values())

    def test_a_path_that_never_fires_counts_once_it_is_written(self):
        plan = planned(
            [node("a", "test.stream", input=1, count=0), node("b", "test.echo-io"), node("c", "test.pair", a=1)],
            [LinkSpec("a", "item", "b", "input"), LinkSpec("b", "output", "c", "b")],
        )
        plan = cut_finer(plan)

        ended = ended_segments(plan, {(0, ()): Outcome(NodeStatus.SUCCEEDED, {"count": [0]})})

        assert ended == {0}
