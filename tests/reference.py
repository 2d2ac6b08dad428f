"""The rules of `docs/semantics.md`, read as plainly as possible: slow, in one go, and compared with the engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, Final

from blocks.sdk import BlockError, BlockType
from executions.engine.spec import LinkSpec, NodeSpec

Path = tuple[int, ...]
Run = Callable[[NodeSpec, dict[str, Any]], list[tuple[str, Any]]]
DEAD: Final = object()
#: What one link gives, a dead path having the value `DEAD`; a path may occur more than once.
Items = list[tuple[Path, Any]]
#: What arrives on a sink pin: one entry, live or `DEAD`, for each path.
Entries = dict[Path, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one node execution ended."""

    status: str
    outputs: dict[str, list[Any]]
    error: dict[str, str] | None = None
    inputs: dict[str, Any] | None = None
    missing: tuple[str, ...] = ()


Outcomes = dict[tuple[str, Path], Outcome]


def interpret(
    nodes: Sequence[NodeSpec], links: Sequence[LinkSpec], run: Run, inputs: Mapping[str, Any] | None = None
) -> Outcomes:
    """Return how each node ends at each path. A fatal failure stops nothing here: ask `fatal` for those.

    Raises:
        graphlib.CycleError: the links form a cycle.
    """
    by_key = {node.key: node for node in nodes}
    producers = {node.key: [link.source for link in links if link.sink == node.key] for node in nodes}
    outcomes: Outcomes = {}
    for key in TopologicalSorter(producers).static_order():
        incoming = [link for link in links if link.sink == key]
        waited, static = arrivals(by_key[key], incoming, by_key, outcomes)
        for path, ending in endings(waited).items():
            if any(value is DEAD for value in static.values()):
                outcome = Outcome("SKIPPED", {})
            elif isinstance(ending, Outcome):
                outcome = ending
            else:
                arrived = {link.sink_pin: (ending | static)[link.sink_pin] for link in incoming}
                outcome = fire(by_key[key], arrived, inputs or {}, run)
            outcomes[key, path] = outcome
    return outcomes


def fatal(nodes: Sequence[NodeSpec], links: Sequence[LinkSpec], outcomes: Outcomes) -> set[tuple[str, Path]]:
    """Return the failures each of which makes the execution `FAILED` and stops what had not started."""
    caught = {link.source for link in links if steps_of(link.source_pin)[0] == "error"}
    stops = {node.key for node in nodes if node.on_error == "fail"} - caught
    return {(key, path) for (key, path), outcome in outcomes.items() if outcome.status == "FAILED" and key in stops}


def execution_outputs(nodes: Sequence[NodeSpec], outcomes: Outcomes) -> dict[str, Any]:
    """Return what the execution answers: for each output node that fired, its value or its values by path."""
    found: dict[str, Any] = {}
    for node in nodes:
        if node.block.block_type is BlockType.OUTPUT:
            fired = {path: outcome for path, outcome in ended(node, outcomes) if outcome.status == "SUCCEEDED"}
            values = [outcome.outputs["output"][0] for outcome in fired.values()]
            found |= {node.constants["name"]: values[0] if set(fired) == {()} else values} if values else {}
    return found


def ended(node: NodeSpec, outcomes: Outcomes) -> list[tuple[Path, Outcome]]:
    """Return how `node` ended, by path."""
    return sorted((path, outcome) for (key, path), outcome in outcomes.items() if key == node.key)


def arrivals(
    node: NodeSpec, incoming: Sequence[LinkSpec], by_key: Mapping[str, NodeSpec], outcomes: Outcomes
) -> tuple[dict[str, Entries], dict[str, Any]]:
    """Return the entries of each pin address that has links, and the one value of each that has static links."""
    waited, static = {}, {}
    for address in dict.fromkeys(link.sink_pin for link in incoming):
        here = [link for link in incoming if link.sink_pin == address]
        given = [items(by_key[link.source], link.source_pin, outcomes) for link in here]
        if here[0].is_static:
            static[address] = last_live(given)
        else:
            waited[address] = gather(merge(given)) if address == node.block.gathers else merge(given)
    return waited, static


def items(producer: NodeSpec, source_pin: str, outcomes: Outcomes) -> Items:
    """Return what a link from `source_pin` gives, in the order of the firings that gave it."""
    pin, steps = steps_of(source_pin)
    found: Items = []
    for path, outcome in ended(producer, outcomes):
        values = outcome.outputs.get(pin, [])
        if outcome.status == "FAILED" and pin == "error" and outcome.error is not None:
            found.append((path, {field: outcome.error[field] for field in ("code", "message", "hint")}))
        elif outcome.status != "SUCCEEDED":
            found.append(((*path, -2) if pin in producer.block.streams else path, DEAD))
        elif pin in producer.block.streams and not values:
            found.append(((*path, -1), DEAD))
        elif pin in producer.block.streams or len(values) > 1:
            found += [((*path, number), value) for number, value in enumerate(values)]
        else:
            found.append((path, values[0] if values else DEAD))
    return [(path, drill(value, steps)) for path, value in found]


def merge(given: Sequence[Items]) -> Entries:
    """Join what several links give to one address."""
    arrived = [(path, value) for of_link in given for path, value in of_link]
    live = {path: [value for at, value in arrived if at == path and value is not DEAD] for path, _ in arrived}
    joined: Entries = {path: DEAD for path, values in live.items() if not values}
    while live:
        path = min(live, key=len)
        values = live.pop(path)
        if len(values) == 1:
            joined[path] = values[0]
        elif values:
            for number, value in enumerate(values):
                moved = (*path, number)
                live[moved] = [value, *live.get(moved, [])]
    return joined


def gather(entries: Entries) -> Entries:
    """Take one number off the paths, making a list of each group."""
    absent = {path for path, value in entries.items() if value is DEAD and (not path or path[-1] == -2)}
    grouped = sorted(set(entries) - absent)
    groups: Entries = {path[:-1]: [] for path in grouped}
    for path in grouped:
        groups[path[:-1]] += [entries[path]] if entries[path] is not DEAD else []
    return {path[:-1]: DEAD for path in absent} | groups


def last_live(given: Sequence[Items]) -> Any:
    """Return the last live value by path of the last link that has one, else `DEAD`."""
    for of_link in reversed(given):
        live = sorted(((path, value) for path, value in of_link if value is not DEAD), key=lambda item: item[0])
        if live:
            return live[-1][1]
    return DEAD


def endings(waited: Mapping[str, Entries]) -> dict[Path, dict[str, Any] | Outcome]:
    """Return the paths at which a node with these waited pins ends: what meets there, or how it ends without firing."""
    if not waited:
        return {(): {}}
    candidates = sorted({path for entries in waited.values() for path in entries})
    answers = {path: {pin: answer(entries, path) for pin, entries in waited.items()} for path in candidates}
    complete = [by_pin for by_pin in answers.values() if None not in by_pin.values()]
    used = {(pin, at) for by_pin in complete for pin, at in by_pin.items()}
    found: dict[Path, dict[str, Any] | Outcome] = {}
    for path, by_pin in answers.items():
        missing = tuple(pin for pin, at in by_pin.items() if at is None)
        values = {pin: waited[pin][at] for pin, at in by_pin.items() if at is not None}
        unused = [entries[path] for pin, entries in waited.items() if path in entries and (pin, path) not in used]
        if not missing:
            found[path] = Outcome("SKIPPED", {}) if any(value is DEAD for value in values.values()) else values
        elif any(value is not DEAD for value in unused):
            found[path] = Outcome("INCOMPLETE", {}, missing=missing)
        elif unused:
            found[path] = Outcome("SKIPPED", {})
    return found


def answer(entries: Entries, path: Path) -> Path | None:
    """Return the longest prefix of `path` that has an entry."""
    return next((path[:length] for length in range(len(path), -1, -1) if path[:length] in entries), None)


def fire(node: NodeSpec, arrived: Mapping[str, Any], inputs: Mapping[str, Any], run: Run) -> Outcome:
    """Run the block with what is on its pins."""
    values = dict(node.constants)
    if node.block.block_type is BlockType.INPUT:
        values |= {"value": inputs[values["name"]]} if values["name"] in inputs else {}
    outputs: dict[str, list[Any]] = {}
    try:
        for address in sorted(arrived, key=lambda address: bool(steps_of(address)[1])):
            pin, steps = steps_of(address)
            values[pin] = put(values.get(pin), steps, arrived[address])
        for pin, value in run(node, dict(values)):
            if pin == "error":
                raise BlockError(str(value))
            outputs.setdefault(pin, []).append(value)
    except BlockError as error:
        return Outcome("FAILED", {}, error=error.as_dict(), inputs=values)
    return Outcome("SUCCEEDED", outputs, inputs=values)


def steps_of(address: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the pin of a nested address and the steps into its value."""
    pin, *parts = re.split(r"_([#$@])_", address)
    return pin, list(zip(parts[::2], parts[1::2], strict=True))


def drill(value: Any, steps: Iterable[tuple[str, str]]) -> Any:
    """Return the part of `value` that `steps` lead to, or `DEAD`; an attribute of a dict is its entry."""
    for kind, where in steps:
        if kind == "$":
            value = value[int(where)] if isinstance(value, list) and int(where) < len(value) else DEAD
        else:
            value = value.get(where, DEAD) if isinstance(value, dict) else DEAD
    return value


def put(container: Any, steps: Sequence[tuple[str, str]], value: Any) -> Any:
    """Return a copy of `container` with `value` at `steps`; None is an empty place, and gaps are padded with it."""
    if not steps:
        return value
    (kind, where), *rest = steps
    if container is not None and not isinstance(container, list if kind == "$" else dict):
        raise BlockError(f"There is no place {where!r} in a {type(container).__name__}.", code="INPUT_INVALID")
    if kind == "$":
        places = list(container or [])
        places += [None] * (int(where) + 1 - len(places))
        places[int(where)] = put(places[int(where)], rest, value)
        return places
    entries = dict(container or {})
    return entries | {where: put(entries.get(where), rest, value)}
