"""The graphs that are run while faults strike, and what must come out of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractUser

from blocks import registry
from blocks.files.read_text import ReadTextFileBlock
from blocks.files.write_text import WriteTextFileBlock
from blocks.flow.ask_approval import AskApprovalBlock
from blocks.sdk import Block
from executions.engine.spec import LinkSpec, NodeSpec
from executions.engine.status import Status
from tests.blocks import bounded, facts_of, node
from tests.factories import make_published
from tests.faults.blocks import FAULT_BLOCKS, Call, CallOnce, Grind

Outputs = Mapping[str, Any]

#: How an execution ends whose block fails as it was told.
FAILED = frozenset({("FAILED", "PROBE_FAILED")})


@dataclass(frozen=True, slots=True)
class Shape:
    """A published graph that takes a number, and the outputs for it; how many effects one execution has."""

    name: str
    version_id: UUID
    owner_id: int
    outputs: Callable[[int], Outputs]
    effects: int
    #: Other ends that are right, where a fault decides what happens.
    also: frozenset[tuple[str, str]] = frozenset()

    @property
    def ends(self) -> frozenset[tuple[str, str]]:
        """Return the pairs of status and error code that an execution may end with."""
        return frozenset({(Status.SUCCEEDED, "")}) | self.also


def make_diamond(owner: AbstractUser | None = None, *, seconds: float = 0.0, name: str = "diamond") -> Shape:
    """Return six nodes: one that waits feeds one that waits and one that computes, and these meet."""
    nodes = [
        node("number", "test.input", name="number"),
        probe("first", Call, seconds=seconds),
        probe("left", Call, seconds=seconds),
        probe("right", Grind, seconds=seconds),
        node("pair", "test.pair"),
        node("result", "test.output", name="result"),
    ]
    links = [
        LinkSpec("number", "output", "first", "input"),
        LinkSpec("first", "output", "left", "input"),
        LinkSpec("first", "output", "right", "input"),
        LinkSpec("left", "output", "pair", "a"),
        LinkSpec("right", "output", "pair", "b"),
        LinkSpec("pair", "output", "result", "input"),
    ]
    return published(name, nodes, links, owner, lambda number: {"result": [number, number]}, effects=3)


def make_wide(width: int = 20, owner: AbstractUser | None = None, *, seconds: float = 0.0) -> Shape:
    """Return a join of so many nodes that wait."""
    names = [f"wait{number}" for number in range(width)]
    nodes = [
        node("number", "test.input", name="number"),
        *[probe(name, Call, seconds=seconds) for name in names],
        node("join", "test.nested"),
        node("result", "test.output", name="result"),
    ]
    links = [
        *[LinkSpec("number", "output", name, "input") for name in names],
        *[LinkSpec(name, "output", "join", f"values_#_{name}") for name in names],
        LinkSpec("join", "output", "result", "input"),
    ]
    outputs = lambda number: {"result": bounded(dict.fromkeys(names, number))}  # noqa: E731 - stands where it is used
    return published(f"wide{width}", nodes, links, owner, outputs, effects=width)


def make_items(count: int = 5, owner: AbstractUser | None = None, *, block: type[Block] = Call) -> Shape:
    """Return a stream of items, one firing for each, and the list of them."""
    nodes = [
        node("number", "test.input", name="number"),
        node("items", "test.stream", count=count),
        probe("each", block),
        node("all", "test.collect"),
        node("result", "test.output", name="result"),
    ]
    links = [
        LinkSpec("number", "output", "items", "input"),
        LinkSpec("items", "item", "each", "input"),
        LinkSpec("each", "output", "all", "item"),
        LinkSpec("all", "items", "result", "input"),
    ]
    outputs = lambda number: {"result": bounded([f"{number}.{place}" for place in range(count)])}  # noqa: E731
    return published(f"items{count}", nodes, links, owner, outputs, effects=count)


def make_one(
    block: type[Block] = Call,
    owner: AbstractUser | None = None,
    *,
    name: str = "one",
    effects: int = 1,
    outputs: Callable[[int], Outputs] = lambda number: {"result": number},
    also: frozenset[tuple[str, str]] = frozenset(),
    **constants: Any,
) -> Shape:
    """Return one node between an input and an output."""
    nodes = [
        node("number", "test.input", name="number"),
        probe("act", block, **constants),
        node("result", "test.output", name="result"),
    ]
    links = [LinkSpec("number", "output", "act", "input"), LinkSpec("act", "output", "result", "input")]
    return published(name, nodes, links, owner, outputs, effects=effects, also=also)


def make_once(owner: AbstractUser | None = None, *, seconds: float = 0.0) -> Shape:
    """Return one node whose effect must not be repeated by itself."""
    return make_one(CallOnce, owner, name="once", seconds=seconds)


def make_failing(owner: AbstractUser | None = None) -> Shape:
    """Return a node that always fails, beside one that does not."""
    return make_one(Call, owner, name="failing", also=FAILED, fails=True)


def make_asking(owner: AbstractUser | None = None) -> Shape:
    """Return a node that asks a person, between an input and one that acts once they have approved."""
    nodes = [
        node("number", "test.input", name="number"),
        probe("ask", AskApprovalBlock, title="Go on?"),
        probe("act", Call),
        node("result", "test.output", name="result"),
    ]
    links = [
        LinkSpec("number", "output", "ask", "data"),
        LinkSpec("ask", "approved", "act", "input"),
        LinkSpec("act", "output", "result", "input"),
    ]
    return published("asking", nodes, links, owner, lambda number: {"result": number}, effects=1)


def make_writing(owner: AbstractUser | None = None) -> Shape:
    """Return a node that writes a file, and one that reads it; it may be cancelled."""
    nodes = [
        node("number", "test.input", name="number"),
        probe("write", WriteTextFileBlock, text="tea"),
        probe("read", ReadTextFileBlock),
        node("result", "test.output", name="result"),
    ]
    links = [LinkSpec("write", "file", "read", "file"), LinkSpec("read", "text", "result", "input")]
    also = frozenset({(str(Status.CANCELLED), "")})
    return published("writing", nodes, links, owner, lambda _: {"result": "tea"}, effects=0, also=also)


def make_chain(length: int = 8, owner: AbstractUser | None = None) -> Shape:
    """Return cheap nodes in a row, with one at their end that waits."""
    names = [f"step{number}" for number in range(length)]
    nodes = [
        node("number", "test.input", name="number"),
        *[node(name, "test.echo") for name in names],
        probe("act", Call),
        node("result", "test.output", name="result"),
    ]
    row = ["number", *names, "act", "result"]
    links = [LinkSpec(one, "output", next_one, "input") for one, next_one in pairwise(row)]
    return published(f"chain{length}", nodes, links, owner, lambda number: {"result": number}, effects=1)


def probe(key: str, block: type[Block], *, on_error: str = "fail", **constants: Any) -> NodeSpec:
    """Return a node of one of the blocks here."""
    return NodeSpec(key, block.id, constants, on_error, block=facts_of(block))


def published(
    name: str,
    nodes: list[NodeSpec],
    links: list[LinkSpec],
    owner: AbstractUser | None,
    outputs: Callable[[int], Outputs],
    *,
    effects: int,
    also: frozenset[tuple[str, str]] = frozenset(),
) -> Shape:
    """Publish a graph and return it as a shape."""
    registry.register(*FAULT_BLOCKS)
    version = make_published(nodes, links, owner)
    return Shape(name, version.pk, version.graph.owner_id, outputs, effects, also)
