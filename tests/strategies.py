"""Random valid graphs of test blocks, for comparing the engine with `tests/reference.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Literal, TypeVar

from hypothesis import strategies as st

from blocks.sdk import Placement
from executions.engine.spec import LinkSpec, NodeSpec
from tests.blocks import BY_ID, node

Placements = Literal["inline", "mixed"]

#: No node ends at more paths than this, and no graph in more node executions than that.
MAX_PATHS_OF_NODE: Final = 32
MAX_PATHS: Final = 380
#: What `test.many` and its like yield at most.
MAX_ITEMS: Final = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """How a block may be linked: the pins to fill, and the addresses to read."""

    pins: tuple[str, ...] = ("input",)
    gives: tuple[str, ...] = ("output",)
    weight: int = 2
    counted: bool = False


_PARTS = ("output", "output_#_key", "output_#_list", "output_#_list_$_0", "output_#_list_$_1", "output_@_absent")
KINDS: Final[dict[str, Kind]] = {
    "test.echo": Kind(),
    "test.source": Kind(pins=(), weight=1),
    "test.input": Kind(pins=(), weight=1),
    "test.many": Kind(counted=True, weight=5),
    "test.stream": Kind(gives=("item", "count"), counted=True, weight=7),
    "test.both": Kind(gives=("several", "one"), counted=True, weight=3),
    "test.branch": Kind(gives=("yes", "no"), weight=3),
    "test.pair": Kind(pins=("a", "b"), weight=7),
    "test.triple": Kind(pins=("a", "b", "c")),
    "test.collect": Kind(pins=("item",), gives=("items",), weight=4),
    "test.fail-some": Kind(gives=("output", "error", "error_#_code"), weight=3),
    "test.yield-error": Kind(gives=("output", "error"), weight=1),
    "test.record": Kind(gives=_PARTS),
    "test.nested": Kind(pins=("values",)),
    "test.output": Kind(weight=2),
}
#: Parts of `values` that may be linked together, and constants that can take them.
_NESTED: Final[list[tuple[tuple[str, ...], list[Any]]]] = [
    (("values_#_a", "values_#_b", "values_@_c", "values_#_d_$_1", "values_#_d_$_0"), [{}, {"a": "constant", "z": 0}]),
    (("values_$_0", "values_$_1", "values_$_3", "values_$_2_#_a"), [[], ["constant"]]),
]
_VALUES: Final[list[Any]] = ["x", "y", "z", 1, 2, 3, None, True, ["p", "q"], {"k": "v"}, ""]

Number = Callable[[int, int], int]
T = TypeVar("T")


@dataclass
class Draft:
    """A graph being drawn; a node may be linked to those before it, so no cycle can come up."""

    #: Draws a whole number between two, both included; every choice is made by it, and the plainest is the lowest.
    number: Number
    placements: Placements
    continues: bool
    nodes: list[NodeSpec] = field(default_factory=list)
    links: list[LinkSpec] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    #: For each address that can be read: the most items it may have.
    readable: dict[tuple[str, str], int] = field(default_factory=dict)
    paths_left: int = MAX_PATHS

    def add_node(self) -> None:
        """Draw one more node and what is on its pins."""
        base = self.weighted({block_id: kind.weight for block_id, kind in KINDS.items()})
        kind, key = KINDS[base], f"n{len(self.nodes)}"
        constants = self.constants_of(base, key)
        addresses = self.addresses_of(base, kind, constants)
        paths = 1 + sum(self.readable[link.source, link.source_pin] for link in self.links if link.sink == key)
        for pin in addresses:
            paths += self.fill(key, pin, constants, room=min(MAX_PATHS_OF_NODE, self.paths_left) - paths)
        self.paths_left -= paths
        for address in kind.gives:
            counted = kind.counted and address not in ("count", "one")
            self.readable[key, address] = paths * MAX_ITEMS if counted else paths
        if base not in ("test.fail-some", "test.yield-error") and self.chance(12):
            self.readable[key, "error"] = paths
        on_error = "continue" if self.continues or self.chance(4) else "fail"
        self.nodes.append(node(key, self.placed(base), on_error=on_error, **constants))

    def placed(self, base: str) -> str:
        """Draw the twin of a block."""
        twins = [base, *(twin for twin in (f"{base}-{Placement.IO}", f"{base}-{Placement.CPU}") if twin in BY_ID)]
        return self.pick(twins) if self.placements == "mixed" else base

    def constants_of(self, base: str, key: str) -> dict[str, Any]:
        """Draw the constants that have to do with the kind of block, and the execution's input of an input node."""
        if KINDS[base].counted:
            return {"count": self.pick([2, 3, 0, 1, MAX_ITEMS, None])}
        if base == "test.source":
            return {"value": self.pick(_VALUES)}
        if base == "test.output":
            return {"name": f"out-{key}"}
        if base != "test.input":
            return {}
        name, way = f"in-{key}", self.pick(["given", "default", "both"])
        if way != "default":
            self.inputs[name] = self.pick(_VALUES)
        return {"name": name} | ({} if way == "given" else {"default": self.pick(_VALUES)})

    def addresses_of(self, base: str, kind: Kind, constants: dict[str, Any]) -> list[str]:
        """Draw which sink addresses to fill; of `values`, some parts, over a constant or a link that can take them."""
        if base != "test.nested":
            return list(kind.pins)
        parts, wholes = self.pick(_NESTED)
        if self.chance(2):
            constants["values"] = self.pick(wholes)
        records = [key for (key, address), most in self.readable.items() if address == "output_#_key" and most <= 8]
        if isinstance(wholes[0], dict) and records and self.chance(2):
            self.links.append(LinkSpec(self.pick(records), "output", f"n{len(self.nodes)}", "values"))
        return self.distinct(parts, self.number(1, 3))

    def fill(self, key: str, address: str, constants: dict[str, Any], *, room: int) -> int:
        """Draw links or a constant for one address and return by how many paths it may add to those of the node."""
        waited = {"link": 12, "merge": 5}
        others = {"static": 2, "constant": 2, "link over constant": 1}
        way = self.weighted(waited if address == "item" else waited | others)
        fitting = [source for source, most in self.readable.items() if way == "static" or most <= room]
        if (not fitting or "constant" in way) and "_" not in address:
            constants[address] = self.pick(_VALUES)
        if not fitting or way == "constant":
            return 0
        # The last nodes and the streams are drawn more often, so that graphs are deep and items meet.
        streams = [source for source in fitting if self.readable[source] > 1]
        likely = [*fitting, *fitting[-6:], *streams, *streams[-4:]]
        count = self.number(2, 3) if way == "merge" else 1 + (way == "static" and self.chance(3))
        paths = 0
        for source in self.distinct(likely, count):
            if way == "static" or paths + self.readable[source] <= room:
                paths += 0 if way == "static" else self.readable[source]
                self.links.append(LinkSpec(*source, key, address, is_static=way == "static"))
        return paths

    def chance(self, one_in: int) -> bool:
        """Draw whether something rare happens."""
        return self.number(0, one_in - 1) == one_in - 1

    def pick(self, options: Sequence[T]) -> T:
        """Draw one of `options`."""
        return options[self.number(0, len(options) - 1)]

    def weighted(self, weights: dict[str, int]) -> str:
        """Draw a key, as likely as its weight says."""
        return self.pick([key for key, weight in weights.items() for _ in range(weight)])

    def distinct(self, options: Sequence[T], count: int) -> list[T]:
        """Draw up to `count` different ones of `options`, in any order."""
        found: list[T] = []
        while len(found) < count and (left := [option for option in options if option not in found]):
            found.append(self.pick(left))
        return found


@dataclass(frozen=True, slots=True)
class Drawn:
    """A graph and what it is started with."""

    nodes: list[NodeSpec]
    links: list[LinkSpec]
    inputs: dict[str, Any]


def draw_graph(number: Number, *, placements: Placements, max_nodes: int, may_stop: bool) -> Drawn:
    """Make a graph of 1 to `max_nodes` nodes by the choices of `number`."""
    draft = Draft(number, placements, continues=not may_stop or number(0, 1) == 0)
    for _ in range(number(1, max_nodes)):
        draft.add_node()
    nodes = draft.distinct(draft.nodes, len(draft.nodes))
    links = draft.distinct(draft.links, len(draft.links))
    return Drawn(nodes, links, draft.inputs)


@st.composite
def graphs(draw: st.DrawFn, *, placements: Placements = "mixed", max_nodes: int = 14, may_stop: bool = True) -> Drawn:
    """Draw a graph that can be shrunk; without `may_stop`, no failure ends the execution."""

    def number(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    return draw_graph(number, placements=placements, max_nodes=max_nodes, may_stop=may_stop)


def random_graph(seed: int, *, placements: Placements = "mixed", max_nodes: int = 14, may_stop: bool = True) -> Drawn:
    """Return the graph of a seed: quicker than `graphs` and more varied, as no example is a variant of another."""
    number = Random(seed).randint
    return draw_graph(number, placements=placements, max_nodes=max_nodes, may_stop=may_stop)
