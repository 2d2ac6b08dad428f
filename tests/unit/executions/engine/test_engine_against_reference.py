"""The planner and the compiler, run in memory in random order and with trouble, end as the reference interpreter does."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.sdk import BlockError, BlockType
from executions.engine.compile import Limits
from executions.engine.items import ERROR_PIN
from executions.engine.plan import PlanNode, plan
from executions.engine.status import NodeStatus
from graphs.pins import assemble
from tests.blocks import run_block
from tests.reference import interpret
from tests.simulation import Simulation
from tests.strategies import Drawn, graphs, random_graph
from tests.unit.test_reference import SEEDS_THAT_COLLIDE_ON_ONE_LINK


def simulated(drawn: Drawn, seed: int, *, trouble: float, limits: Limits) -> dict[Any, Any]:
    """Return how each node of a graph ended at each path, as the engine has it."""
    specs = {node.key: node for node in drawn.nodes}

    def run_node(node: PlanNode, arrived: Mapping[str, Any]) -> tuple[dict[str, list[Any]], dict[str, str] | None]:
        try:
            values = assemble(node.constants, list(arrived.items()))
            if node.block.block_type is BlockType.INPUT:
                name = values.get("name")
                values["value"] = drawn.inputs[name] if name in drawn.inputs else values.get("default")
            outputs: dict[str, list[Any]] = {}
            for pin, value in run_block(specs[node.key], values):
                if pin == ERROR_PIN:
                    raise BlockError(str(value))
                outputs.setdefault(pin, []).append(value)
        except BlockError as error:
            return {}, {"code": error.code, "message": error.message, "hint": error.hint}
        return outputs, None

    planned = plan(drawn.nodes, drawn.links)
    simulation = Simulation(planned, run_node, Random(seed), limits=limits, trouble=trouble)
    simulation.carry_out()
    return {
        (planned.nodes[node].key, path): (
            str(outcome.status),
            # What a failure sends along its `error` pin is compared where it arrives.
            {} if outcome.status is NodeStatus.FAILED else dict(outcome.outputs),
            simulation.missing.get((node, path), ()),
        )
        for (node, path), outcome in simulation.rows.items()
    }


def expected(drawn: Drawn) -> dict[Any, Any]:
    """Return the same, as the reference has it."""
    outcomes = interpret(drawn.nodes, drawn.links, run_block, drawn.inputs)
    return {key: (outcome.status, outcome.outputs, tuple(outcome.missing)) for key, outcome in outcomes.items()}


LIMITS = [Limits(), Limits(lanes=2, chunk=1), Limits(lanes=3, chunk=2)]


@pytest.mark.parametrize("block_of_seeds", range(10))
def test_ends_as_the_reference_for_thousands_of_graphs(block_of_seeds):
    for seed in range(block_of_seeds * 200, block_of_seeds * 200 + 200):
        drawn = random_graph(seed)

        found = simulated(drawn, seed, trouble=0.0 if seed % 2 else 0.3, limits=LIMITS[seed % 3])

        assert found == expected(drawn), f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS_THAT_COLLIDE_ON_ONE_LINK)
def test_ends_as_the_reference_where_firings_of_one_node_meet_at_a_path(seed):
    drawn = random_graph(seed)

    assert simulated(drawn, seed, trouble=0.0, limits=Limits()) == expected(drawn)


@settings(max_examples=200, deadline=None)
@given(drawn=graphs(), seed=st.integers(0, 2**32), limits=st.sampled_from(LIMITS), trouble=st.sampled_from([0.0, 0.5]))
def test_ends_as_the_reference(drawn, seed, limits, trouble):
    assert simulated(drawn, seed, trouble=trouble, limits=limits) == expected(drawn)
