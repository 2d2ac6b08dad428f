"""Every rule of a publishable graph: what it reports, where, and that it reports all at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, Field, model_validator

from blocks.errors import UnknownBlock
from blocks.sdk import Block, BlockSchema, BlockType, Effects
from graphs.documents import GraphModel, LinkModel, NodeModel
from graphs.structure import find_cycles, unreachable
from graphs.validation import problems


class Person(BaseModel):
    name: str
    age: int


class AnyOutput(BlockSchema):
    output: Any


class TypedOutput(BlockSchema):
    text: str
    number: int
    amount: float
    flag: bool
    texts: list[str]
    table: dict[str, int]
    person: Person
    maybe: str | None


class TypedInput(BlockSchema):
    text: str = ""
    number: int = Field(default=0, ge=0)
    texts: list[str] = []
    table: dict[str, int] = {}
    person: Person | None = None
    loose: Annotated[str, BeforeValidator(str)] = ""
    anything: Any = None


class NeedyInput(BlockSchema):
    text: str
    values: dict[str, int] = {}


class NamedInput(BlockSchema):
    name: str = "output"
    value: Any
    input: Any = None


class OpenInput(BaseModel, extra="allow"):
    pass


class PairInput(BlockSchema):
    low: int
    high: int

    @model_validator(mode="after")
    def ordered(self) -> PairInput:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class CollectedInput(BlockSchema):
    item: list[int]


def block(block_id: str, inputs: type[BaseModel], outputs: type[BaseModel] = AnyOutput, **facts: Any) -> type[Block]:
    about = {
        "id": block_id,
        "name": block_id.title(),
        "description": "x",
        "input_schema": inputs,
        "output_schema": outputs,
    }
    return type(block_id.title(), (Block,), about | facts)


KNOWN = [
    block("typed", TypedInput, TypedOutput),
    block("needy", NeedyInput),
    block("read", NamedInput, block_type=BlockType.INPUT),
    block("write", NamedInput, block_type=BlockType.OUTPUT),
    block("open", OpenInput),
    block("pair", PairInput),
    block("off", OpenInput, disabled=True),
    block("collect", CollectedInput, gathers="item"),
    block("once", OpenInput, effects=Effects.AT_MOST_ONCE),
]
BLOCKS = {one.id: one for one in KNOWN}


def get_block(block_id: str) -> type[Block]:
    if block_id not in BLOCKS:
        raise UnknownBlock(f"No block {block_id!r}.")
    return BLOCKS[block_id]


def graph(nodes: dict[str, str | tuple[str, dict[str, Any]]], *links: str) -> GraphModel:
    """Draw `{"key": "block" or ("block", constants)}` and `"a.pin -> b.pin"`, with `=>` for a static link."""
    drawn = []
    for key, what in nodes.items():
        block_id, inputs = (what, {}) if isinstance(what, str) else what
        drawn.append(NodeModel(id=key, block_id=block_id, inputs=inputs))
    return GraphModel(name="g", nodes=drawn, links=list(map(link, links)))


def link(drawn: str) -> LinkModel:
    arrow = "=>" if "=>" in drawn else "->"
    (source, source_pin), (sink, sink_pin) = (end.strip().split(".", 1) for end in drawn.split(arrow))
    ends = {"source_id": source, "source_name": source_pin, "sink_id": sink, "sink_name": sink_pin}
    return LinkModel(**ends, is_static=arrow == "=>")


def found(drawing: GraphModel, **limits: Any) -> list[tuple[str, str, str]]:
    return [(one.code, one.path, one.node) for one in problems(drawing, get_block=get_block, **limits)]


def test_a_graph_that_can_be_published_has_no_problems():
    drawing = graph(
        {"in": ("read", {"name": "a"}), "work": "typed", "out": ("write", {"name": "b"})},
        "in.output -> work.text",
        "work.texts -> out.value",
        "work.error -> out.input",
    )

    assert found(drawing) == []


def test_all_problems_are_told_at_once():
    drawing = graph(
        {"a": "nowhere", "b": "off", "c": "needy", "d": ("typed", {"number": "x", "gone": 1})},
        "b.nothing -> d.text",
        "e.output -> d.text",
    )

    assert found(drawing) == [
        ("FOREIGN_LINK", "links[1].source_id", "e"),
        ("UNKNOWN_BLOCK", "nodes[0].block_id", "a"),
        ("BLOCK_DISABLED", "nodes[1].block_id", "b"),
        ("MISSING_INPUT", "nodes[2].inputs.text", "c"),
        ("UNKNOWN_PIN", "nodes[3].inputs.gone", "d"),
        ("BAD_CONSTANT", "nodes[3].inputs.number", "d"),
        ("UNKNOWN_PIN", "links[0].source_name", "b"),
        ("UNREACHABLE", "nodes[3]", "d"),
    ]


def test_every_problem_has_a_message_and_a_way_out():
    drawing = graph({"a": "typed", "b": ("typed", {"number": -1})}, "a.textt -> a.text", "a.number -> b.text")

    told = problems(drawing, get_block=get_block)

    assert all(one.message and one.hint for one in told)
    assert "Did you mean 'text'?" in [one.hint for one in told]


def test_two_nodes_with_one_key_are_a_problem():
    drawing = graph({"a": "typed"})
    drawing.nodes.append(NodeModel(id="a", block_id="typed"))

    assert found(drawing) == [("DUPLICATE_NODE", "nodes[1].id", "a")]


@pytest.mark.parametrize(
    ("links", "told"),
    [
        (["a.text -> a.text"], ["a → a"]),
        (["a.text -> b.text", "b.text -> c.text", "c.text -> a.text"], ["a → b → c → a"]),
        (["c.text -> b.text", "b.text -> c.texts_$_0", "a.text -> b.text"], ["b → c → b"]),
        (["a.text -> b.text", "b.text -> a.text", "c.text -> d.text", "d.text -> c.text"], ["a → b → a", "c → d → c"]),
    ],
)
def test_a_cycle_names_its_nodes_in_order(links, told):
    drawing = graph(dict.fromkeys("abcd", "typed"), *links)

    cycles = [one for one in problems(drawing, get_block=get_block) if one.code == "CYCLE"]

    assert [one.message for one in cycles] == [f"These nodes form a cycle: {around}." for around in told]


def test_what_hangs_on_a_cycle_alone_is_unreachable():
    drawing = graph(dict.fromkeys("abcd", "typed"), "a.text -> a.text", "a.text -> b.text", "b.text -> c.text")

    assert found(drawing) == [
        ("CYCLE", "links[0]", "a"),
        ("UNREACHABLE", "nodes[1]", "b"),
        ("UNREACHABLE", "nodes[2]", "c"),
    ]


def test_links_are_gone_through_as_often_however_many_nodes_can_not_be_reached():
    class Links(list[Any]):
        passes = 0

        def __iter__(self) -> Iterator[Any]:
            Links.passes += 1
            return super().__iter__()

    def passes(count: int) -> int:
        names = [f"n{number}" for number in range(count)]
        row = [f"{one}.text -> {other}.text" for one, other in pairwise(names)]
        drawing = graph(dict.fromkeys(names, "typed"), "n0.text -> n0.text", *row)
        Links.passes = 0
        assert len(unreachable(SimpleNamespace(nodes=drawing.nodes, links=Links(drawing.links)), [])) == count - 1
        return Links.passes

    assert passes(50) == passes(5)


def test_a_pin_with_one_link_that_can_bring_something_is_reachable():
    drawing = graph({"a": "typed", "b": "typed"}, "a.text -> b.text", "a.nothing -> b.text")

    assert found(drawing) == [("UNKNOWN_PIN", "links[1].source_name", "a")]


@pytest.mark.parametrize("address", ["text_$_x", "_text", "text_#_", "text_@___class__"])
def test_a_malformed_pin_name_is_a_problem_and_not_also_an_unknown_pin(address):
    drawing = graph({"a": "typed", "b": "typed"}, f"a.text -> b.{address}")

    assert found(drawing) == [("BAD_PIN_NAME", "links[0].sink_name", "b")]


def test_an_unknown_sink_pin_is_a_problem():
    drawing = graph({"a": "typed", "b": "typed"}, "a.text -> b.nothing_#_x")

    assert found(drawing) == [("UNKNOWN_PIN", "links[0].sink_name", "b")]


def test_a_block_that_takes_extra_pins_takes_them():
    drawing = graph({"a": "typed", "b": ("open", {"x": 1})}, "a.text -> b.whatever")

    assert found(drawing) == []


@pytest.mark.parametrize(
    ("source", "sink"),
    [
        ("number", "text"),
        ("flag", "text"),
        ("texts", "text"),
        ("person", "text"),
        ("text", "texts"),
        ("table", "texts"),
        ("texts", "table"),
        ("texts", "number"),
        ("number", "person"),
        ("table_#_x", "text"),
        ("person_@_age", "text"),
        ("texts_$_0", "texts"),
        ("number", "texts_$_0"),
        ("texts", "table_#_x"),
        ("texts", "person_@_age"),
        ("error", "number"),
    ],
)
def test_types_that_can_never_fit_are_a_problem(source, sink):
    drawing = graph({"a": "typed", "b": "typed"}, f"a.{source} -> b.{sink}")

    assert found(drawing) == [("TYPE_MISMATCH", "links[0].sink_name", "b")]


@pytest.mark.parametrize(
    ("source", "sink"),
    [
        ("text", "text"),
        ("maybe", "text"),
        ("text", "number"),
        ("amount", "number"),
        ("flag", "number"),
        ("table", "person"),
        ("person", "table"),
        ("number", "loose"),
        ("texts", "anything"),
        ("error", "person"),
        ("error_#_message", "text"),
        ("texts_$_0", "text"),
        ("table_#_x", "number"),
        ("person_#_name", "text"),
        ("person_#_unknown", "texts"),
        ("table_@_x_#_deep", "texts"),
        ("number", "table_#_x"),
        ("text", "person_#_name"),
    ],
)
def test_types_that_may_fit_are_none(source, sink):
    drawing = graph({"a": "typed", "b": "typed"}, f"a.{source} -> b.{sink}")

    assert found(drawing) == []


def test_a_gathering_pin_is_judged_by_its_items():
    drawing = graph({"a": "typed", "b": "collect"}, "a.number -> b.item", "a.texts -> b.item")

    assert found(drawing) == [("TYPE_MISMATCH", "links[1].sink_name", "b")]


def test_a_required_pin_needs_a_constant_or_a_link_to_it_or_into_it():
    drawing = graph(
        {"a": "needy", "b": ("needy", {"text": ""}), "c": "needy", "d": "needy"},
        "b.output -> c.text",
        "b.output -> d.text_#_x",
    )

    assert found(drawing) == [("MISSING_INPUT", "nodes[0].inputs.text", "a")]


def test_the_platform_fills_the_value_of_an_input_node_but_not_of_an_output_node():
    drawing = graph({"a": ("read", {"name": "x"}), "b": ("write", {"name": "x"})})

    assert found(drawing) == [("MISSING_INPUT", "nodes[1].inputs.value", "b")]


@pytest.mark.parametrize(
    ("constants", "path"),
    [
        ({"number": -1}, "number"),
        ({"texts": ["a", 3]}, "texts[1]"),
        ({"person": {"name": "Ann"}}, "person.age"),
    ],
)
def test_a_constant_that_does_not_fit_is_a_problem_at_its_place(constants, path):
    assert found(graph({"a": ("typed", constants)})) == [("BAD_CONSTANT", f"nodes[0].inputs.{path}", "a")]


def test_constants_that_do_not_fit_together_are_a_problem_of_all():
    assert found(graph({"a": ("pair", {"low": 2, "high": 1})})) == [("BAD_CONSTANT", "nodes[0].inputs", "a")]


def test_a_constant_that_a_link_completes_or_replaces_is_not_judged():
    drawing = graph(
        {
            "a": ("pair", {"low": 1, "high": 1}),
            "b": ("pair", {"low": 2, "high": 1}),
            "c": ("typed", {"person": {"name": "x"}}),
        },
        "a.output -> b.high",
        "a.output -> c.person_#_age",
    )

    assert found(drawing) == []


def test_a_constant_belongs_to_a_whole_pin():
    assert found(graph({"a": ("typed", {"table_#_x": 1})})) == [("BAD_PIN_NAME", "nodes[0].inputs.table_#_x", "a")]


@pytest.mark.parametrize("kind", ["read", "write"])
def test_two_inputs_or_outputs_of_one_name_are_a_problem(kind):
    named = {"name": "x", "value": 1}
    side = "INPUT" if kind == "read" else "OUTPUT"

    drawing = graph({"a": (kind, named), "b": (kind, named), "c": (kind, {"value": 1}), "d": (kind, {"value": 1})})

    assert found(drawing) == [
        (f"DUPLICATE_{side}_NAME", "nodes[1].inputs.name", "b"),
        (f"DUPLICATE_{side}_NAME", "nodes[3].inputs.name", "d"),
    ]


def test_an_input_and_an_output_may_have_the_same_name():
    assert found(graph({"a": ("read", {"name": "x"}), "b": ("write", {"name": "x", "value": 1})})) == []


def test_the_name_of_an_output_can_not_come_from_a_link():
    drawing = graph({"a": "typed", "b": ("write", {"value": 1})}, "a.text -> b.name")

    assert found(drawing) == [("NAME_NOT_CONSTANT", "links[0].sink_name", "b")]


def test_static_and_other_links_do_not_mix_on_one_pin():
    drawing = graph(
        {"a": "typed", "b": "typed"},
        "a.text => b.text",
        "a.text -> b.text",
        "a.text -> b.texts_$_0",
        "a.text => b.texts_$_1",
    )

    assert found(drawing) == [("STATIC_MIXED", "links[1].is_static", "b")]


def test_a_pin_that_gathers_takes_no_static_link():
    drawing = graph({"a": "typed", "b": "collect"}, "a.number => b.item")

    assert ("STATIC_GATHER", "links[0].is_static", "b") in found(drawing)


@pytest.mark.parametrize(
    ("block_id", "retry", "told"),
    [
        ("once", {}, ["RETRY_UNSAFE"]),
        ("once", {"attempts": 2}, ["RETRY_UNSAFE"]),
        ("once", {"attempts": 1}, []),
        ("once", {"on": ["RATE_LIMITED"]}, []),
        ("once", None, []),
        ("open", {}, []),
    ],
)
def test_what_must_not_happen_twice_is_retried_only_on_codes_that_are_named(block_id, retry, told):
    drawing = GraphModel(name="g", nodes=[NodeModel(id="a", block_id=block_id, retry=retry)])

    assert found(drawing) == [(code, "nodes[0].retry.on", "a") for code in told]


def test_too_many_nodes_are_told_alone():
    assert found(graph(dict.fromkeys("abc", "nowhere")), max_nodes=2) == [("TOO_MANY_NODES", "nodes", "")]


def test_a_graph_without_nodes_is_a_problem():
    assert found(graph({})) == [("EMPTY_GRAPH", "nodes", "")]


edges = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20)


@given(edges)
def test_a_cycle_is_found_exactly_where_there_is_one(pairs):
    drawing = graph(
        dict.fromkeys("abcdefgh", "open"), *(f"{'abcdefgh'[a]}.output -> {'abcdefgh'[b]}.x" for a, b in pairs)
    )
    joined = {("abcdefgh"[a], "abcdefgh"[b]) for a, b in pairs}

    cycles = find_cycles(drawing)

    for cycle in cycles:
        assert set(zip(cycle, [*cycle[1:], cycle[0]], strict=True)) <= joined
    left = {edge for edge in joined if not any(set(edge) & set(cycle) for cycle in cycles)}
    assert not _reaches_itself(left)
    assert bool(cycles) == _reaches_itself(joined)


def _reaches_itself(joined: set[tuple[str, str]]) -> bool:
    reach = set(joined)
    while more := {(a, d) for a, b in reach for c, d in reach if b == c} - reach:
        reach |= more
    return any(a == b for a, b in reach)


def _layers(width: int, depth: int) -> Iterator[str]:
    for level in range(1, depth):
        for column in range(width):
            yield f"n{level - 1}-{(column * 7) % width}.output -> n{level}-{column}.x"


def test_a_graph_of_two_thousand_nodes_is_checked_quickly():
    drawing = graph({f"n{level}-{column}": "open" for level in range(20) for column in range(100)}, *_layers(100, 20))
    started = time.monotonic()

    assert found(drawing) == []

    assert time.monotonic() - started < 3
