"""What is compiled runs every segment once, after what it waits for, whatever the order in which the tasks end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.sdk import Placement
from executions.engine.compile import (
    MAX_NAMES_LENGTH,
    Canvas,
    Chain,
    Chord,
    Items,
    Lane,
    Limits,
    compile,
    names,
    numbers,
    runnable,
    spread,
)
from executions.engine.plan import Plan, plan
from tests.strategies import random_graph
from tests.unit.executions.engine.dags import Dag, random_dag

IO, CPU = Placement.IO, Placement.CPU
LIMITS = [Limits(), Limits(lanes=1, chunk=1), Limits(lanes=2, chunk=1), Limits(lanes=8, chunk=3)]


def lanes_of(canvas: Canvas) -> list[Lane]:
    if isinstance(canvas, Lane):
        return [canvas]
    return list(canvas.lanes) if isinstance(canvas, Chain) else [*canvas.header, canvas.body]


@dataclass
class Run:
    """Tasks under way, and what has ended; tasks end in an order that chance decides."""

    plan: Plan
    limits: Limits
    chance: Random
    done: set[int] = field(default_factory=set)
    ran: Counter[int] = field(default_factory=Counter)
    sent: Counter[int] = field(default_factory=Counter)
    tasks: list[tuple[Lane, list[int], Callable[[], None]]] = field(default_factory=list)

    def carry_out(self) -> None:
        """Send what is left, and let one segment after another end until nothing is under way."""
        self.send(compile(self.plan, self.done, self.limits))
        while self.tasks:
            position = self.chance.randrange(len(self.tasks))
            lane, left, then = self.tasks[position]
            self.end(lane, left.pop(self.chance.randrange(len(left))))
            if not left:
                self.tasks.remove((lane, left, then))
                then()

    def send(self, canvases: list[Canvas]) -> None:
        """Take canvases as Celery would."""
        for canvas in canvases:
            assert_covers_what_it_sends(canvas)
            self.sent.update(segment for lane in lanes_of(canvas) for segment in lane.segments)
            if isinstance(canvas, Chord):
                waiting = list(canvas.header)
                for lane in canvas.header:
                    self.begin(lane, partial(self._meet, lane, canvas, waiting))
            else:
                self._follow(lanes_of(canvas))

    def begin(self, lane: Lane, then: Callable[[], None]) -> None:
        """Put a task under way: everything that its segments wait for has ended."""
        for segment in lane.segments:
            assert self.plan.segments[segment].producers <= self.done, "it comes too early"
            assert self.plan.segments[segment].queue == lane.queue
        self.tasks.append((lane, list(lane.segments), then))

    def end(self, lane: Lane, segment: int) -> None:
        """Settle one segment, and send on what waited for it last and nobody else sends."""
        self.ran[segment] += 1
        self.done.add(segment)
        after = self.plan.segments[segment].consumers - set(lane.covered)
        wave = sorted(one for one in after if self.plan.segments[one].producers <= self.done)
        if wave:
            self.send(compile(self.plan, self.done, self.limits, wave=wave))

    def _follow(self, lanes: list[Lane]) -> None:
        first, *rest = lanes
        self.begin(first, lambda: self._follow(rest) if rest else None)

    def _meet(self, lane: Lane, canvas: Chord, waiting: list[Lane]) -> None:
        waiting.remove(lane)
        if not waiting:
            self._follow([canvas.body])


def assert_covers_what_it_sends(canvas: Canvas) -> None:
    """What a lane leaves to its canvas is exactly what that canvas sends after it."""
    if isinstance(canvas, Chord):
        assert {lane.covered for lane in canvas.header} == {canvas.body.segments}
        assert canvas.body.covered == ()
    else:
        lanes = lanes_of(canvas)
        assert [lane.covered for lane in lanes] == [*(lane.segments for lane in lanes[1:]), ()]


def assert_all_ran_once(planned: Plan, before: set[int], run: Run) -> None:
    left = {segment.index for segment in planned.segments} - before
    assert run.ran == Counter(left)
    assert run.sent == Counter(left)


@pytest.mark.parametrize("seed", range(200))
def test_every_segment_of_a_random_graph_runs_once_after_its_producers(seed):
    drawn = random_graph(seed)
    planned = plan(drawn.nodes, drawn.links)
    run = Run(planned, LIMITS[seed % len(LIMITS)], Random(seed))

    run.carry_out()

    assert_all_ran_once(planned, set(), run)


@pytest.mark.parametrize("seed", range(60))
def test_every_segment_of_a_large_graph_runs_once_after_its_producers(seed):
    chance = Random(seed)
    planned = random_dag(chance, max_nodes=300, placements=(IO, CPU)).planned()
    run = Run(planned, chance.choice(LIMITS), chance)

    run.carry_out()

    assert_all_ran_once(planned, set(), run)


@pytest.mark.parametrize("seed", range(60))
def test_what_has_ended_before_is_left_out_and_all_else_runs_once(seed):
    chance = Random(seed)
    planned = random_dag(chance, max_nodes=80).planned()
    before: set[int] = set()
    for segment in planned.segments:
        if segment.producers <= before and chance.random() < 0.6:
            before.add(segment.index)
    run = Run(planned, chance.choice(LIMITS), chance, done=set(before))

    run.carry_out()

    assert_all_ran_once(planned, before, run)


@pytest.mark.parametrize("seed", range(60))
def test_no_wave_is_wider_than_its_limits_and_no_name_too_long(seed):
    chance = Random(seed)
    planned = random_dag(chance, max_nodes=300, placements=(IO, CPU)).planned()
    limits = chance.choice(LIMITS)

    canvases = compile(planned, (), limits)

    first = [lane for c in canvases for lane in (lanes_of(c)[:1] if isinstance(c, Chain) else lanes_of(c))]
    for queue in ("default", "cpu"):
        lanes = [lane for lane in first if lane.queue == queue]
        assert len(lanes) <= limits.lanes + 1 or any(len(names(lane.segments)) > 100 for lane in lanes)
    assert all(len(names(part)) <= MAX_NAMES_LENGTH for lane in first for part in (lane.segments, lane.covered))


class TestShapes:
    def test_a_single_node_is_a_lane(self):
        assert compile(Dag([IO], []).planned(), (), Limits()) == [Lane("default", (0,))]

    def test_nothing_is_left_of_what_has_ended(self):
        assert compile(Dag([IO], []).planned(), (0,), Limits()) == []

    def test_a_run_over_queues_is_a_chain(self):
        (canvas,) = compile(Dag([IO, CPU, IO], [(0, 1), (1, 2)]).planned(), (), Limits())

        assert isinstance(canvas, Chain)
        assert canvas.lanes[0] == Lane("default", (0,), covered=(1,))
        assert_covers_what_it_sends(canvas)

    def test_lanes_that_meet_are_a_chord(self):
        (canvas,) = compile(Dag([IO, CPU, IO], [(0, 2), (1, 2)]).planned(), (), Limits())

        assert canvas == Chord((Lane("cpu", (1,), (2,)), Lane("default", (0,), (2,))), Lane("default", (2,)))

    def test_waits_share_a_lane_and_computing_is_spread(self):
        waits = compile(Dag([IO] * 10, []).planned(), (), Limits(lanes=4, chunk=100))
        computing = compile(Dag([CPU] * 10, []).planned(), (), Limits(lanes=4, chunk=100))

        assert waits == [Lane("default", tuple(range(10)))]
        assert [len(lanes_of(canvas)[0].segments) for canvas in computing] == [3, 3, 3, 1]

    def test_a_join_that_no_canvas_can_express_is_left_to_whoever_settles_last(self):
        """0 to 2, 0 to 3, 1 to 3: no nesting of chains and chords says that. The canvas takes 3; whoever settles 0 sends 2."""
        planned = Dag([IO, CPU, IO, CPU], [(0, 2), (0, 3), (1, 3)]).planned()

        (canvas,) = compile(planned, (), Limits())

        assert canvas == Chord((Lane("cpu", (1,), (3,)), Lane("default", (0,), (3,))), Lane("cpu", (3,)))


class TestSpread:
    @given(st.integers(1, 500), st.sampled_from(LIMITS), st.sampled_from(["default", "cpu"]))
    def test_gives_every_firing_to_exactly_one_chunk(self, count, limits, queue):
        lane = Lane(queue, (3,))

        chord = spread(lane, 7, range(count), limits)

        ranges = [chunk.items for chunk in chord.header]
        assert [position for items in ranges if items for position in range(items.start, items.stop)] == list(
            range(count)
        )
        assert {items.node for items in ranges if items} == {7}
        assert chord.body == lane

    def test_leaves_out_what_has_ended_already_at_the_edges(self):
        chord = spread(Lane("default", (0,)), 1, [4, 5, 9], Limits(chunk=2))

        assert [chunk.items for chunk in chord.header] == [Items(1, 4, 6), Items(1, 9, 10)]


class TestNames:
    @given(st.sets(st.integers(0, 5000)))
    def test_are_read_as_they_were_written(self, segments):
        assert numbers(names(segments)) == sorted(segments)

    def test_are_short_for_runs(self):
        assert names([7, 0, 1, 2, 3]) == "0-3,7"

    @pytest.mark.parametrize("written", ["x", "-", ",", "1,,2", "1-2-3", "-1", "0-9999999999", "0-999999,5"])
    def test_that_are_none_are_refused(self, written):
        with pytest.raises(ValueError):
            numbers(written)


def test_only_what_waits_for_nothing_can_run():
    planned = Dag([IO, CPU, IO, CPU], [(0, 1), (0, 3), (2, 3)]).planned()

    assert runnable(planned, ()) == [0, 1]
    assert runnable(planned, (0,)) == [1, 2]
    assert runnable(planned, range(len(planned.segments))) == []
