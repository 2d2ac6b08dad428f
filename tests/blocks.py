"""Small deterministic blocks that yield in every way there is; workers load them by `AGENTPLATFORM_EXTRA_BLOCKS`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from zlib import crc32

from pydantic import BaseModel, ValidationError

from blocks.sdk import Block, BlockError, BlockSchema, BlockType, Placement
from executions.engine.spec import BlockFacts, NodeSpec


class Probe(Block):
    """A block whose pairs are a plain function of what it is given."""

    name = "Probe"
    description = "Does as its class says."
    placement = Placement.INLINE

    def pairs(self, given: Any) -> Iterator[tuple[str, Any]]:
        """Yield `(output pin, value)`."""
        raise NotImplementedError

    async def execute(self, input_data: Any) -> AsyncIterator[tuple[str, Any]]:
        """Yield the pairs; where a block may wait, wait for up to 3 ms before each, so that firings overtake."""
        for pin, value in self.pairs(input_data):
            if self.placement is Placement.IO:
                await pause(number_of(value) % 4 / 1000)
            yield pin, value


async def pause(delay_s: float) -> None:
    """Wait on the event loop; outside of one there is nobody to let pass."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    await asyncio.sleep(delay_s)


def number_of(value: Any) -> int:
    """Return the same number for the same value, on every machine."""
    return crc32(json.dumps(value, sort_keys=True).encode())


def bounded(value: Any) -> Any:
    """Return `value`, or a short text that stands for it: a value of values doubles at every node."""
    return value if len(json.dumps(value)) <= 200 else f"~{number_of(value):08x}"


class AnyInput(BlockSchema):
    input: Any


class AnyOutput(BlockSchema):
    output: Any


class Echo(Probe):
    id = "test.echo"
    input_schema, output_schema = AnyInput, AnyOutput

    def pairs(self, given: AnyInput) -> Iterator[tuple[str, Any]]:
        yield "output", given.input


class Source(Probe):
    """Has a constant and no pin that anybody links."""

    class Input(BlockSchema):
        value: Any = "source"

    id = "test.source"
    input_schema, output_schema = Input, AnyOutput

    def pairs(self, given: Source.Input) -> Iterator[tuple[str, Any]]:
        yield "output", given.value


class CountedInput(BlockSchema):
    input: Any
    #: None lets the input decide, so that nested streams are of different lengths.
    count: int | None = None


class Many(Probe):
    """Yields several values on a pin that is not declared a stream: one value of these opens no level."""

    id = "test.many"
    input_schema, output_schema = CountedInput, AnyOutput

    def pairs(self, given: CountedInput) -> Iterator[tuple[str, Any]]:
        yield from (("output", text) for text in numbered(given))


class Stream(Probe):
    class Output(BlockSchema):
        item: Any
        count: int

    id = "test.stream"
    input_schema, output_schema = CountedInput, Output
    streams = frozenset({"item"})

    def pairs(self, given: CountedInput) -> Iterator[tuple[str, Any]]:
        yield from (("item", text) for text in numbered(given))
        yield "count", len(numbered(given))


class Both(Probe):
    """Mixes several values on one pin with one on another."""

    class Output(BlockSchema):
        several: Any
        one: Any

    id = "test.both"
    input_schema, output_schema = CountedInput, Output

    def pairs(self, given: CountedInput) -> Iterator[tuple[str, Any]]:
        texts = numbered(given)
        yield from (("several", text) for text in texts[:1])
        yield "one", given.input
        yield from (("several", text) for text in texts[1:])


def numbered(given: CountedInput) -> list[str]:
    """Return `count` texts made of the input."""
    shown = str(given.input)
    shown = shown if len(shown) <= 24 else f"~{number_of(given.input):08x}"
    count = number_of(given.input) % 4 if given.count is None else given.count
    return [f"{shown}.{number}" for number in range(count)]


class Branch(Probe):
    class Output(BlockSchema):
        yes: Any
        no: Any

    id = "test.branch"
    block_type = BlockType.BRANCHING
    input_schema, output_schema = AnyInput, Output

    def pairs(self, given: AnyInput) -> Iterator[tuple[str, Any]]:
        yield "yes" if number_of(given.input) % 2 else "no", given.input


class Pair(Probe):
    class Input(BlockSchema):
        a: Any
        b: Any

    id = "test.pair"
    input_schema, output_schema = Input, AnyOutput

    def pairs(self, given: Pair.Input) -> Iterator[tuple[str, Any]]:
        yield "output", bounded([given.a, given.b])


class Triple(Probe):
    class Input(BlockSchema):
        a: Any
        b: Any
        c: Any

    id = "test.triple"
    input_schema, output_schema = Input, AnyOutput

    def pairs(self, given: Triple.Input) -> Iterator[tuple[str, Any]]:
        yield "output", bounded([given.a, given.b, given.c])


class Collect(Probe):
    class Input(BlockSchema):
        item: Any

    class Output(BlockSchema):
        items: Any

    id = "test.collect"
    input_schema, output_schema = Input, Output
    gathers = "item"

    def pairs(self, given: Collect.Input) -> Iterator[tuple[str, Any]]:
        yield "items", bounded(given.item)


class FailSome(Probe):
    """Fails for about every third input, after it has yielded something that must be dropped."""

    id = "test.fail-some"
    input_schema, output_schema = AnyInput, AnyOutput

    def pairs(self, given: AnyInput) -> Iterator[tuple[str, Any]]:
        yield "output", given.input
        if number_of(given.input) % 3 == 0:
            raise BlockError(f"No {number_of(given.input)}.", code="PROBE_FAILED", hint="Give it something else.")


class YieldError(Probe):
    """Fails for about every second input by yielding on `error`."""

    id = "test.yield-error"
    input_schema, output_schema = AnyInput, AnyOutput

    def pairs(self, given: AnyInput) -> Iterator[tuple[str, Any]]:
        yield "output", given.input
        if number_of(given.input) % 2 == 0:
            yield "error", f"Not {number_of(given.input)}."


class WrongOutput(Probe):
    """Yields what its own schema refuses."""

    class Output(BlockSchema):
        output: int

    id = "test.wrong-output"
    input_schema, output_schema = AnyInput, Output

    def pairs(self, given: AnyInput) -> Iterator[tuple[str, Any]]:
        yield "output", "no number"


class Record(Probe):
    """Yields something to drill into; its list has one entry or two."""

    id = "test.record"
    input_schema, output_schema = AnyInput, AnyOutput

    def pairs(self, given: AnyInput) -> Iterator[tuple[str, Any]]:
        numbers = [number_of(given.input) % 10, number_of(given.input) % 7]
        yield "output", {"key": bounded(given.input), "list": numbers[: 1 + number_of(given.input) % 2]}


class Nested(Probe):
    """Has one pin, whose parts are linked."""

    class Input(BlockSchema):
        values: Any = None

    id = "test.nested"
    input_schema, output_schema = Input, AnyOutput

    def pairs(self, given: Nested.Input) -> Iterator[tuple[str, Any]]:
        yield "output", bounded(given.values)


class GraphInput(Probe):
    class Input(BlockSchema):
        name: str
        default: Any = None
        value: Any = None

    id = "test.input"
    block_type = BlockType.INPUT
    input_schema, output_schema = Input, AnyOutput

    def pairs(self, given: GraphInput.Input) -> Iterator[tuple[str, Any]]:
        yield "output", given.value if "value" in given.model_fields_set else given.default


class GraphOutput(Probe):
    class Input(BlockSchema):
        name: str
        input: Any

    id = "test.output"
    block_type = BlockType.OUTPUT
    input_schema, output_schema = Input, AnyOutput

    def pairs(self, given: GraphOutput.Input) -> Iterator[tuple[str, Any]]:
        yield "output", given.input


def twin(block: type[Probe], placement: Placement) -> type[Probe]:
    """Return the same block at another placement, e.g. `test.echo-io`."""
    members: dict[str, Any] = {"id": f"{block.id}-{placement}", "placement": placement, "__module__": block.__module__}
    return type(f"{block.__name__}{placement.title()}", (block,), members)


_WAITING: list[type[Probe]] = [Echo, Many, Stream, Both, Branch, Pair, Triple, Collect, FailSome, YieldError, Record]
TEST_BLOCKS: list[type[Block]] = [
    *_WAITING,
    *[Source, Nested, WrongOutput, GraphInput, GraphOutput],
    *[twin(block, Placement.IO) for block in _WAITING],
    *[twin(block, Placement.CPU) for block in (Echo, Many, FailSome)],
]
BY_ID: dict[str, type[Block]] = {block.id: block for block in TEST_BLOCKS}


def facts_of(block: type[Block]) -> BlockFacts:
    """Return what the engine needs to know of `block`."""
    return BlockFacts.of(block)


def node(key: str, block_id: str, *, on_error: str = "fail", **constants: Any) -> NodeSpec:
    """Return a node of a test block."""
    return NodeSpec(key, block_id, constants, on_error, facts_of(BY_ID[block_id]))


def run_block(spec: NodeSpec, values: dict[str, Any]) -> list[tuple[str, Any]]:
    """Run the test block of a node in memory and return what it yields, checked against its schemas.

    Raises:
        BlockError: the block failed, or was given or gave what its schemas do not allow.
    """
    block = BY_ID[spec.block_id]
    try:
        given = block.input_schema.model_validate(values)
    except ValidationError as error:
        raise BlockError(str(error), code="INPUT_INVALID") from error
    pairs = _listed(block().execute(given))
    for pin, value in pairs:
        _check_output(block.output_schema, pin, value)
    return pairs


def _check_output(schema: type[BaseModel], pin: str, value: Any) -> None:
    if pin == "error":
        return
    if pin not in schema.model_fields:
        raise BlockError(f"There is no output pin {pin!r}.", code="OUTPUT_INVALID")
    try:
        schema.__pydantic_validator__.validate_assignment(schema.model_construct(), pin, value)
    except ValidationError as error:
        raise BlockError(str(error), code="OUTPUT_INVALID") from error


def _listed(pairs: AsyncIterator[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return all pairs. A probe waits for nothing outside an event loop, so each step ends at once."""
    found: list[tuple[str, Any]] = []
    while True:
        try:
            next(anext(pairs).__await__())
        except StopIteration as step:
            found.append(step.value)
        except StopAsyncIteration:
            return found
        else:
            raise RuntimeError("This block waits for something and needs an event loop.")
