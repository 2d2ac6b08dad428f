"""Every rule of a graph that can be published, all at once: each broken one is a problem with its place (pure)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic.functional_validators import BeforeValidator, PlainValidator, WrapValidator

from agentplatform.lib.errors import AppError
from blocks import registry
from blocks.registry import PinFacts, input_pins, output_pins
from blocks.sdk import Block, BlockType, Effects
from graphs import fits, structure
from graphs.errors import BadPinName, Problem
from graphs.pins import Pin, parse
from graphs.structure import Drawing, DrawnLink, DrawnNode

MAX_NODES = 2000
#: What the platform itself puts on the pins of an input node.
FILLED_PIN = "value"
#: The pin whose constant names an input or an output of the graph.
NAME_PIN = "name"

GetBlock = Callable[[str], type[Block]]


def problems(drawing: Drawing, *, get_block: GetBlock = registry.get, max_nodes: int = MAX_NODES) -> list[Problem]:
    """Return everything that is wrong with a graph; none if it can be published."""
    if len(drawing.nodes) > max_nodes:
        # Alone: the other rules are for graphs of a size that can be looked at.
        message = f"The graph has {len(drawing.nodes)} nodes; {max_nodes} are allowed."
        return [Problem("TOO_MANY_NODES", "nodes", "", message, "Move a part of it into a graph of its own.")]
    if not drawing.nodes:
        return [Problem("EMPTY_GRAPH", "nodes", "", "The graph has no nodes.", "Add one.")]
    return _Check(drawing, get_block).all()


@dataclass
class _Check:
    """One look at one graph: who the nodes' blocks are, and which links turned out to carry nothing."""

    drawing: Drawing
    get_block: GetBlock
    blocks: dict[str, type[Block]] = field(default_factory=dict)
    broken_links: set[int] = field(default_factory=set)

    def all(self) -> list[Problem]:
        found = [*structure.problems(self.drawing), *self._blocks()]
        links = list(self._links())
        found += [problem for one in self._nodes() for problem in one]
        found += links
        found += _same_names(self.drawing.nodes, self.blocks)
        return found + structure.unreachable(self.drawing, self.broken_links)

    def _blocks(self) -> Iterator[Problem]:
        for index, node in enumerate(self.drawing.nodes):
            path = f"nodes[{index}].block_id"
            try:
                block = self.get_block(node.block_id)
            except AppError as error:
                yield Problem("UNKNOWN_BLOCK", path, node.id, error.message, error.hint)
                continue
            self.blocks[node.id] = block
            if block.disabled:
                message = f"The block {block.name!r} is disabled."
                yield Problem(
                    "BLOCK_DISABLED", path, node.id, message, "Use another, or ask the operator to enable it."
                )

    def _links(self) -> Iterator[Problem]:
        for index, link in enumerate(self.drawing.links):
            source, sink = self.blocks.get(link.source_id), self.blocks.get(link.sink_id)
            ends = [_pin_of(output_pins(source) if source else None, link.source_name)]
            ends.append(_pin_of(input_pins(sink) if sink else None, link.sink_name))
            if ends[0] is None:
                self.broken_links.add(index)
                if source and (pin := _parsed(link.source_name)):
                    yield _unknown_pin(
                        f"links[{index}].source_name", link.source_id, pin.name, output_pins(source), source
                    )
            if ends[1] is None and sink and (pin := _parsed(link.sink_name)) and not _takes_any_pin(sink):
                yield _unknown_pin(f"links[{index}].sink_name", link.sink_id, pin.name, input_pins(sink), sink)
            if sink and ends[0] and ends[1]:
                yield from _types(index, link, ends[0], ends[1], sink)
            if sink and link.is_static and ends[1] and ends[1][0].name == sink.gathers:
                message = f"{link.sink_name!r} gathers items, and a static link brings none: only a last value."
                yield Problem(
                    "STATIC_GATHER", f"links[{index}].is_static", link.sink_id, message, "Make it an ordinary link."
                )
            if sink and sink.block_type in (BlockType.INPUT, BlockType.OUTPUT) and link.sink_name == NAME_PIN:
                message = "The name of an input or output must be a constant."
                yield Problem(
                    "NAME_NOT_CONSTANT", f"links[{index}].sink_name", link.sink_id, message, "Remove this link."
                )

    def _nodes(self) -> Iterator[Iterable[Problem]]:
        linked: dict[str, set[str]] = {node.id: set() for node in self.drawing.nodes}
        for link in self.drawing.links:
            pin = _parsed(link.sink_name)
            if pin and link.sink_id in linked:
                linked[link.sink_id].add(pin.name)
        for index, node in enumerate(self.drawing.nodes):
            if block := self.blocks.get(node.id):
                yield _constants(index, node, block, linked[node.id])
                yield _missing(index, node, block, linked[node.id])
                yield _retries(index, node, block)
                yield _unasked(index, node, block)


def _parsed(address: str) -> Pin | None:
    """Return the pin, or None where its name is malformed, which is reported elsewhere."""
    try:
        return parse(address)
    except BadPinName:
        return None


def _pin_of(pins: Mapping[str, PinFacts] | None, address: str) -> tuple[Pin, PinFacts] | None:
    pin = _parsed(address)
    facts = pins.get(pin.name) if pins and pin else None
    return (pin, facts) if pin and facts else None


def _takes_any_pin(block: type[Block]) -> bool:
    return block.input_schema.model_config.get("extra") == "allow"


def _unknown_pin(path: str, key: str, name: str, pins: Mapping[str, PinFacts], block: type[Block]) -> Problem:
    near = get_close_matches(name[:64], pins, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(pins) or 'none'}."
    side = "output" if path.endswith("source_name") else "input"
    return Problem("UNKNOWN_PIN", path, key, f"The block {block.name!r} has no {side} pin {name!r}.", hint)


def _types(
    index: int, link: DrawnLink, source: tuple[Pin, PinFacts], sink: tuple[Pin, PinFacts], block: type[Block]
) -> Iterator[Problem]:
    if _converts(block, sink[0].name):
        return
    given, taken = fits.part(source[1].schema, source[0]), fits.part(sink[1].schema, sink[0])
    if block.gathers == sink[0].name:
        taken = {} if sink[0].steps else fits.part(taken, Pin("", (("$", 0),)))
    if not fits.fits(given, taken):
        gives, takes = fits.names(fits.kinds(given)), fits.names(fits.kinds(taken))
        message = f"{link.source_name!r} of {link.source_id!r} gives {gives}, but {link.sink_name!r} takes {takes}."
        hint = "Put a block between them that turns the one into the other."
        yield Problem("TYPE_MISMATCH", f"links[{index}].sink_name", link.sink_id, message, hint)


def _converts(block: type[Block], name: str) -> bool:
    """Say whether the schema has code of its own that may turn anything into what the pin needs."""
    model = block.input_schema
    own = (BeforeValidator, PlainValidator, WrapValidator)
    decorators = model.__pydantic_decorators__
    return (
        model.model_config.get("coerce_numbers_to_str", False)
        or any(isinstance(one, own) for one in model.model_fields[name].metadata)
        or any(one.info.mode != "after" for one in decorators.model_validators.values())
        or any(
            one.info.mode != "after" and ({name, "*"} & set(one.info.fields))
            for one in decorators.field_validators.values()
        )
    )


def _constants(index: int, node: DrawnNode, block: type[Block], linked: Collection[str]) -> Iterator[Problem]:
    pins = input_pins(block)
    unknown = [] if _takes_any_pin(block) else [name for name in node.inputs if name not in pins]
    for name in unknown:
        pin = _parsed(name)
        if pin and pin.name in pins:
            message = f"A constant is given to a whole pin, not to {name!r}."
            yield Problem("BAD_PIN_NAME", f"nodes[{index}].inputs.{name}", node.id, message, "Write the whole value.")
        else:
            yield _unknown_pin(f"nodes[{index}].inputs.{name}", node.id, name, pins, block)
    # A link to a pin replaces its constant, or completes it: neither can be judged here.
    judged = {name: value for name, value in node.inputs.items() if name not in linked and name not in unknown}
    for place, message in _refusals(block, judged, is_complete=not linked):
        path = f"nodes[{index}].inputs" + "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in place)
        yield Problem("BAD_CONSTANT", path, node.id, f"{message}.", "Correct the constant on this pin.")


def _refusals(
    block: type[Block], constants: Mapping[str, Any], *, is_complete: bool
) -> list[tuple[tuple[int | str, ...], str]]:
    """Return where and why the block's schema refuses constants, as far as it can say without the pins not given."""
    try:
        block.input_schema.model_validate(constants, by_name=True)
    except ValidationError as error:
        told = error.errors(include_url=False, include_input=False, include_context=False)
        missing = any(one["type"] == "missing" and len(one["loc"]) == 1 for one in told)
        is_whole = is_complete and not missing
        return [(one["loc"], one["msg"]) for one in told if (one["loc"][0] in constants if one["loc"] else is_whole)]
    except Exception:  # noqa: BLE001 - a validator is foreign code, and may count on pins that are not filled yet
        return []
    return []


def _missing(index: int, node: DrawnNode, block: type[Block], linked: Collection[str]) -> Iterator[Problem]:
    for pin in input_pins(block).values():
        is_filled = block.block_type is BlockType.INPUT and pin.name == FILLED_PIN
        if pin.is_required and not is_filled and pin.name not in node.inputs and pin.name not in linked:
            message = f"The block {block.name!r} needs a value on {pin.name!r}."
            hint = "Link something to it, or write a constant."
            yield Problem("MISSING_INPUT", f"nodes[{index}].inputs.{pin.name}", node.id, message, hint)


def _retries(index: int, node: DrawnNode, block: type[Block]) -> Iterator[Problem]:
    if block.effects is not Effects.AT_MOST_ONCE or node.retry is None:
        return
    if node.retry.attempts > 1 and not node.retry.on:
        message = (
            f"What the block {block.name!r} does may have happened although it failed, and is not to happen twice."
        )
        hint = "Name in `on` the codes after which it can not have happened, such as RATE_LIMITED."
        yield Problem("RETRY_UNSAFE", f"nodes[{index}].retry.on", node.id, message, hint)


def _unasked(index: int, node: DrawnNode, block: type[Block]) -> Iterator[Problem]:
    for provider in node.credentials:
        if provider not in block.credentials_required:
            message = f"The block {block.name!r} does not ask {provider}."
            asked = ", ".join(block.credentials_required)
            hint = f"It asks: {asked}." if asked else "It needs no credential: remove it."
            yield Problem("CREDENTIAL_UNUSED", f"nodes[{index}].credentials.{provider}", node.id, message, hint)


def _same_names(nodes: Iterable[DrawnNode], blocks: Mapping[str, type[Block]]) -> Iterator[Problem]:
    first: dict[tuple[BlockType, Any], int] = {}
    for index, node in enumerate(nodes):
        block = blocks.get(node.id)
        if block is None or block.block_type not in (BlockType.INPUT, BlockType.OUTPUT):
            continue
        known = block.input_schema.model_fields.get(NAME_PIN)
        name = node.inputs.get(NAME_PIN, known.default if known else None)
        if not isinstance(name, str):
            continue
        other = first.setdefault((block.block_type, name), index)
        if other != index:
            kind = block.block_type.value
            message = f"The {kind} {name!r} is that of nodes[{other}] already."
            hint = f"Give every {kind} of a graph a name of its own."
            yield Problem(f"DUPLICATE_{kind.upper()}_NAME", f"nodes[{index}].inputs.{NAME_PIN}", node.id, message, hint)
