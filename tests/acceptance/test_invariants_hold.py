"""The invariants hold in every snapshot of a system that works, and of one whose workers are killed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from blocks import registry
from executions import services
from tests.acceptance.crew import SHORT_LEASES, Crew, start_many, two_ways, wait_for_end, working
from tests.acceptance.probes import PROBES
from tests.factories import make_published, make_user
from tests.invariants import assert_invariants_hold
from tests.scale import long, many
from tests.servers import wait_until
from tests.strategies import random_graph

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

NARROW = {"AGENTPLATFORM_LANES": 2, "AGENTPLATFORM_CHUNK_ITEMS": 2}


@pytest.fixture(scope="module")
def crew(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """Workers with short leases that spread nearly every stream over chunks."""
    environment = {name: str(value) for name, value in {**SHORT_LEASES, **NARROW}.items()}
    with working(tmp_path_factory.mktemp("crew"), environment) as crew:
        yield crew


@pytest.fixture(autouse=True)
def _as_the_workers(settings: Any) -> None:
    registry.register(*PROBES)
    for name, value in {**SHORT_LEASES, **NARROW}.items():
        setattr(settings, name, value)


@pytest.mark.parametrize("count", [30, pytest.param(many(120), marks=long)])
def test_hold_while_graphs_of_every_kind_run(crew, count):
    ids = []
    for seed in range(count):
        ids.append(start_random(seed))
        if seed % 10 == 9:
            assert_invariants_hold(grace_s=None)

    wait_for_end(ids)

    assert_invariants_hold()


@pytest.mark.parametrize("count", [10, pytest.param(many(50), marks=long)])
def test_hold_while_workers_are_killed(crew, count):
    ids = start_many(two_ways(), count)

    wait_until(lambda: len(crew.effects_of(ids)) >= count, what="The middle of the work")
    crew.default.kill9()
    assert_invariants_hold(grace_s=None)
    crew.replace_default()
    assert_invariants_hold(grace_s=None)
    wait_for_end(ids)

    assert_invariants_hold()


def start_random(seed: int) -> UUID:
    """Start a random graph, the same for the same seed."""
    drawn, owner = random_graph(seed), make_user()
    version = make_published(drawn.nodes, drawn.links, owner)
    return services.start(version_id=version.pk, owner_id=owner.pk, inputs=drawn.inputs).pk
