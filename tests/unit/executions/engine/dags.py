"""Random graphs of nothing but placements and links: larger and stranger than blocks would make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from blocks.sdk import Placement
from executions.engine.plan import Plan, plan
from executions.engine.spec import BlockFacts, LinkSpec, NodeSpec


@dataclass(frozen=True)
class Dag:
    """Nodes in topological order, and the pairs of them that are linked."""

    placements: Sequence[Placement]
    links: list[tuple[int, int]]

    @property
    def producers(self) -> list[list[int]]:
        """Return what each node waits for."""
        return [sorted({a for a, b in self.links if b == node}) for node in range(len(self.placements))]

    @property
    def consumers(self) -> list[list[int]]:
        """Return what waits for each node."""
        return [sorted({b for a, b in self.links if a == node}) for node in range(len(self.placements))]

    def planned(self) -> Plan:
        """Return it as the engine plans it."""
        nodes = [NodeSpec(f"n{n}", "x", block=BlockFacts(placement)) for n, placement in enumerate(self.placements)]
        links = [LinkSpec(f"n{a}", "output", f"n{b}", f"from_{a}") for a, b in self.links]
        return plan(nodes, links)


def random_dag(chance: Random, *, max_nodes: int, placements: Sequence[Placement] = tuple(Placement)) -> Dag:
    """Return a graph that is sparse or dense, deep or wide, as chance has it."""
    count = chance.randint(1, max_nodes)
    reach = chance.choice([1, 3, 10, count])
    most = chance.choice([1, 2, 3, 6])
    links: set[tuple[int, int]] = set()
    for node in range(1, count):
        for _ in range(chance.randint(0, most)):
            links.add((chance.randint(max(0, node - reach), node - 1), node))
    return Dag([chance.choice(placements) for _ in range(count)], sorted(links))
