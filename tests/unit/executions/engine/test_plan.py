"""What a plan keeps of its version, and how a cut is told from another."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from blocks.sdk import Placement, Retry
from executions.engine.plan import plan
from executions.engine.spec import BlockFacts, LinkSpec, NodeSpec
from tests.unit.executions.engine.dags import Dag, random_dag

IO, CPU = BlockFacts(Placement.IO), BlockFacts(Placement.CPU)
NODES = [NodeSpec("a", "x", block=IO), NodeSpec("b", "x"), NodeSpec("c", "x", block=IO)]
LINKS = [LinkSpec("a", "output", "b", "input"), LinkSpec("b", "output", "c", "input")]


def test_a_node_keeps_how_often_and_how_long_it_is_tried():
    (planned,) = plan([NodeSpec("a", "x", retry=Retry(attempts=5), timeout_s=9.0)], []).nodes

    assert (planned.retry, planned.timeout_s) == (Retry(attempts=5), 9.0)


class TestMark:
    def test_is_sixteen_hexadecimal_digits_that_never_change(self):
        # Written down with executions under way: another one for the same cut would be a fault.
        assert plan(NODES, LINKS).mark == "6955e7caa6bf67c2"

    @pytest.mark.parametrize("seed", range(50))
    def test_is_the_same_for_the_same_graph(self, seed):
        dag = random_dag(Random(seed), max_nodes=25)

        again = Dag(dag.placements, Random(seed).sample(dag.links, len(dag.links)))

        assert dag.planned().mark == again.planned().mark

    def test_does_not_change_with_what_does_not_change_the_cut(self):
        other = [replace(one, constants={"x": 1}, on_error="continue", retry=Retry(), timeout_s=1.0) for one in NODES]

        assert plan(other, LINKS).mark == plan(NODES, LINKS).mark

    @pytest.mark.parametrize(
        "other",
        [
            [NODES[0], NODES[1], replace(NODES[2], block=CPU)],
            [replace(one, block=CPU) if one.block == IO else one for one in NODES],
            [*NODES, NodeSpec("d", "x", block=IO)],
        ],
        ids=["another queue for one", "another queue for all", "one more"],
    )
    def test_changes_with_the_cut(self, other):
        assert plan(other, LINKS).mark != plan(NODES, LINKS).mark

    def test_changes_with_the_names_of_nodes(self):
        renamed = [replace(NODES[0], key="z"), *NODES[1:]]

        assert plan(renamed, [replace(LINKS[0], source="z"), LINKS[1]]).mark != plan(NODES, LINKS).mark
