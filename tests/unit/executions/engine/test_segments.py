"""Where a graph is cut: always into pieces that can be run, and nowhere without need."""

from __future__ import annotations

from random import Random

import pytest

from blocks.sdk import Placement
from executions.engine.segments import CPU_QUEUE, DEFAULT_QUEUE, Segment, cut
from tests.unit.executions.engine.dags import Dag, random_dag

INLINE, IO, CPU = Placement.INLINE, Placement.IO, Placement.CPU


def segments_of(dag: Dag) -> list[Segment]:
    return cut(dag.placements, dag.producers, dag.consumers)


def shape(placements: list[Placement], *links: tuple[int, int]) -> list[tuple[int, ...]]:
    """Return the nodes of each segment of a small graph."""
    return [segment.nodes for segment in segments_of(Dag(placements, list(links)))]


@pytest.mark.parametrize("seed", range(300))
def test_random_graphs_are_cut_into_segments_that_can_be_run_in_order(seed):
    dag = random_dag(Random(seed), max_nodes=40)

    segments = segments_of(dag)

    assert sorted(node for segment in segments for node in segment.nodes) == list(range(len(dag.placements)))
    of_node = {node: segment.index for segment in segments for node in segment.nodes}
    assert [segment.index for segment in segments] == list(range(len(segments)))
    for segment in segments:
        before = {of_node[source] for source, sink in dag.links if of_node[sink] == segment.index} - {segment.index}
        after = {of_node[sink] for source, sink in dag.links if of_node[source] == segment.index} - {segment.index}
        assert (segment.producers, segment.consumers) == (before, after)
        assert all(index < segment.index for index in before)
        placements = {dag.placements[node] for node in segment.nodes}
        assert not {IO, CPU} <= placements
        assert segment.queue == (CPU_QUEUE if CPU in placements else DEFAULT_QUEUE)


@pytest.mark.parametrize("seed", range(100))
def test_the_same_graph_is_cut_the_same_way(seed):
    dag = random_dag(Random(seed), max_nodes=25)

    again = Dag(dag.placements, Random(seed).sample(dag.links, len(dag.links)))

    assert segments_of(dag) == segments_of(again)


def test_cheap_nodes_that_belong_together_are_one_task():
    assert shape([INLINE] * 5, (0, 1), (1, 2), (1, 3), (2, 4), (3, 4)) == [(0, 1, 2, 3, 4)]


def test_a_run_on_one_queue_is_one_task():
    assert shape([IO, INLINE, IO], (0, 1), (1, 2)) == [(0, 1, 2)]
    assert shape([CPU, INLINE, CPU], (0, 1), (1, 2)) == [(0, 1, 2)]


def test_a_change_of_queue_is_a_cut():
    assert shape([IO, CPU, IO], (0, 1), (1, 2)) == [(0,), (1,), (2,)]


def test_a_cheap_node_joins_what_feeds_it():
    assert shape([CPU, INLINE, IO], (0, 1), (1, 2)) == [(0, 1), (2,)]


def test_parallel_waits_stay_apart_and_meet_in_a_segment_of_their_own():
    assert shape([IO, IO, INLINE], (0, 2), (1, 2)) == [(0,), (1,), (2,)]


def test_nodes_that_know_nothing_of_each_other_stay_apart():
    assert shape([INLINE, INLINE]) == [(0,), (1,)]


@pytest.mark.parametrize("seed", range(300))
def test_no_work_waits_for_work_it_does_not_need(seed):
    """Of the cheap nodes too only those wait that nobody but the waiting one needs."""
    dag = random_dag(Random(seed), max_nodes=25)
    segments = segments_of(dag)
    ahead: dict[int, set[int]] = {}
    for node, producers in enumerate(dag.producers):
        ahead[node] = set(producers).union(*(ahead[producer] for producer in producers))

    for segment in segments:
        before, todo = set[int](), [segment]
        while todo:
            fresh = todo.pop().producers - before
            before |= fresh
            todo += [segments[index] for index in fresh]
        waited_for = {node for index in before for node in segments[index].nodes if dag.placements[node] is not INLINE}
        for node in segment.nodes:
            if dag.placements[node] is not INLINE:
                assert waited_for <= ahead[node]
