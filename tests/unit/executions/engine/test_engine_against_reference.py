"""The planner, the compiler and the lanes, run in memory in an order that chance decides, end as the reference interpreter does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executions.engine.compile import Limits
from tests.durable.events import LIMITS, live_undisturbed
from tests.durable.probes import CURRENT, Manner
from tests.durable.world import World
from tests.scale import many
from tests.strategies import Drawn, graphs, random_graph
from tests.unit.test_reference import SEEDS_THAT_COLLIDE_ON_ONE_LINK

pytestmark = pytest.mark.usefixtures("in_memory")


def check(drawn: Drawn, seed: int, limits: Limits) -> None:
    """Run a graph on one worker or two, with nothing lost and nobody reconciling, and compare how each node ended at each path."""
    world = CURRENT.host = World(drawn, [Manner()], limits)
    try:
        for _ in range(1 + seed % 2):
            world.add_worker()
        world.start()
        live_undisturbed(world, seed)
        world.check_ends()
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise
    finally:
        world.close()


def test_ends_as_the_reference_for_hundreds_of_graphs():
    for seed in range(300):
        check(random_graph(seed, may_stop=seed % 4 == 0), seed, LIMITS[seed % 3])


@pytest.mark.slow
@pytest.mark.parametrize("block_of_seeds", range(1, 6))
def test_ends_as_the_reference_for_thousands_of_graphs(block_of_seeds):
    for seed in range(block_of_seeds * 1000, block_of_seeds * 1000 + many(200)):
        check(random_graph(seed, may_stop=seed % 4 == 0), seed, LIMITS[seed % 3])


@pytest.mark.parametrize("seed", SEEDS_THAT_COLLIDE_ON_ONE_LINK)
def test_ends_as_the_reference_where_firings_of_one_node_meet_at_a_path(seed):
    drawn = random_graph(seed)
    drawn = replace(drawn, nodes=[replace(node, on_error="continue") for node in drawn.nodes])

    check(drawn, seed, Limits())


@settings(max_examples=100, deadline=None)
@given(drawn=graphs(), seed=st.integers(0, 2**32), limits=st.sampled_from(LIMITS))
def test_ends_as_the_reference(drawn, seed, limits):
    check(drawn, seed, limits)
