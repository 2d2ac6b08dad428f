"""The rules about the shape of a graph alone: its keys, its ends, its cycles, and what nothing can reach (pure)."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from graphs.errors import BadPinName, Problem
from graphs.pins import parse

#: Where cycles are many, the first ones are what a person can work on.
MAX_CYCLES = 20


class DrawnRetry(Protocol):
    """What the rules need to know of a node's retry policy."""

    @property
    def attempts(self) -> int: ...
    @property
    def on(self) -> Sequence[str]: ...


class DrawnNode(Protocol):
    """What the rules need to know of a node."""

    @property
    def id(self) -> str: ...
    @property
    def block_id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...
    @property
    def inputs(self) -> Mapping[str, Any]: ...
    @property
    def retry(self) -> DrawnRetry | None: ...
    @property
    def credentials(self) -> Mapping[str, UUID]: ...


class DrawnLink(Protocol):
    """What the rules need to know of a link."""

    @property
    def source_id(self) -> str: ...
    @property
    def source_name(self) -> str: ...
    @property
    def sink_id(self) -> str: ...
    @property
    def sink_name(self) -> str: ...
    @property
    def is_static(self) -> bool: ...


class Drawing(Protocol):
    """Nodes and links in the order of their document; a `GraphModel` is one."""

    @property
    def nodes(self) -> Sequence[DrawnNode]: ...
    @property
    def links(self) -> Sequence[DrawnLink]: ...


def unstorable(drawing: Drawing) -> list[Problem]:
    """Return the problems with which a graph can not even be a draft."""
    return [*_duplicate_keys(drawing), *_foreign_links(drawing)]


def problems(drawing: Drawing) -> list[Problem]:
    """Return everything wrong with the shape, except what can not be reached."""
    return [*unstorable(drawing), *_bad_pin_names(drawing), *_mixed_static(drawing), *_cycles(drawing)]


def _duplicate_keys(drawing: Drawing) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, node in enumerate(drawing.nodes):
        first = seen.setdefault(node.id, index)
        if first != index:
            message = f"The key {node.id!r} is that of nodes[{first}] already."
            yield Problem("DUPLICATE_NODE", f"nodes[{index}].id", node.id, message, "Give every node a key of its own.")


def _foreign_links(drawing: Drawing) -> Iterator[Problem]:
    keys = {node.id for node in drawing.nodes}
    for index, link in enumerate(drawing.links):
        for end, key in (("source_id", link.source_id), ("sink_id", link.sink_id)):
            if key not in keys:
                message = f"The link's {end.removesuffix('_id')} {key!r} is no node of this graph."
                hint = "Both ends of a link must be nodes of the same graph."
                yield Problem("FOREIGN_LINK", f"links[{index}].{end}", key, message, hint)


def _bad_pin_names(drawing: Drawing) -> Iterator[Problem]:
    for index, link in enumerate(drawing.links):
        ends = (("source_name", link.source_name, link.source_id), ("sink_name", link.sink_name, link.sink_id))
        for end, address, key in ends:
            try:
                parse(address)
            except BadPinName as error:
                yield Problem(error.code, f"links[{index}].{end}", key, error.message, error.hint)


def _mixed_static(drawing: Drawing) -> Iterator[Problem]:
    first: dict[tuple[str, str], int] = {}
    for index, link in enumerate(drawing.links):
        other = first.setdefault((link.sink_id, link.sink_name), index)
        if drawing.links[other].is_static != link.is_static:
            kinds = "static, the other is not" if link.is_static else "not static, the other is"
            message = f"This link and links[{other}] go into the same pin {link.sink_name!r}; this one is {kinds}."
            hint = "Make both static, or neither, or use two pins."
            yield Problem("STATIC_MIXED", f"links[{index}].is_static", link.sink_id, message, hint)


def _cycles(drawing: Drawing) -> Iterator[Problem]:
    for cycle in find_cycles(drawing):
        around = " → ".join([*cycle, cycle[0]])
        closing = next(
            index for index, link in enumerate(drawing.links) if (link.source_id, link.sink_id) == (cycle[-1], cycle[0])
        )
        hint = "Remove one of these links; to repeat work, use a loop block."
        yield Problem("CYCLE", f"links[{closing}]", cycle[0], f"These nodes form a cycle: {around}.", hint)


def find_cycles(drawing: Drawing) -> list[list[str]]:
    """Return cycles that share no node, as keys in the order of the links; any other cycle shares a node with one."""
    after = _successors(drawing)
    left = _without_ends(set(after), after)
    cycles: list[list[str]] = []
    while left and len(cycles) < MAX_CYCLES:
        start = next(node.id for node in drawing.nodes if node.id in left)
        cycle = _shortest_cycle(start, left, after)
        cycles.append(cycle)
        left = _without_ends(left.difference(cycle), after)
    return cycles


def _shortest_cycle(start: str, left: Collection[str], after: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the shortest cycle through the first node that a walk from `start` meets twice; all in `left` lead on."""
    met: set[str] = set()
    here = start
    while here not in met:
        met.add(here)
        here = next(key for key in after[here] if key in left)
    came_from: dict[str, str] = {}
    waiting = deque([here])
    while here not in came_from:
        current = waiting.popleft()
        for key in after[current]:
            if key in left and key not in came_from:
                came_from[key] = current
                waiting.append(key)
    cycle = [here]
    while (before := came_from[cycle[-1]]) != here:
        cycle.append(before)
    return [here, *reversed(cycle[1:])]


def _without_ends(keys: set[str], after: Mapping[str, Sequence[str]]) -> set[str]:
    """Return `keys` without those that lead nowhere, again and again: what is left leads to or around a cycle."""
    before: dict[str, list[str]] = defaultdict(list)
    ways_on = dict.fromkeys(keys, 0)
    for key in keys:
        for successor in after[key]:
            if successor in keys:
                before[successor].append(key)
                ways_on[key] += 1
    ends = [key for key, ways in ways_on.items() if not ways]
    left = set(keys)
    while ends:
        end = ends.pop()
        left.discard(end)
        for key in before[end]:
            ways_on[key] -= 1
            if not ways_on[key]:
                ends.append(key)
    return left


def _successors(drawing: Drawing) -> dict[str, list[str]]:
    after: dict[str, dict[str, None]] = {node.id: {} for node in drawing.nodes}
    for link in drawing.links:
        if link.source_id in after and link.sink_id in after:
            after[link.source_id][link.sink_id] = None
    return {key: list(successors) for key, successors in after.items()}


def unreachable(drawing: Drawing, broken_links: Collection[int]) -> list[Problem]:
    """Return a problem for each node that can never fire because of what lies before it.

    A linked pin is always waited for. So a node is out of reach when all links into one of its pins are broken, or come
    from nodes that are out of reach or wait for themselves in a cycle.
    """
    alive = _firing(drawing, broken_links)
    in_cycles = {key for cycle in find_cycles(drawing) for key in cycle}
    starved = _starved_pins(drawing, alive, broken_links)
    found = []
    for index, node in enumerate(drawing.nodes):
        if node.id in alive or node.id in in_cycles:
            continue
        message = f"This node can never fire: nothing can arrive on {', '.join(map(repr, starved[node.id]))}."
        hint = "Solve the problems of what leads there, or remove the links."
        found.append(Problem("UNREACHABLE", f"nodes[{index}]", node.id, message, hint))
    return found


def _firing(drawing: Drawing, broken_links: Collection[int]) -> set[str]:
    """Return the keys of the nodes that can fire, found from those that wait for nothing."""
    starved: dict[str, set[str]] = {node.id: set() for node in drawing.nodes}
    feeds: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for index, link in enumerate(drawing.links):
        if link.sink_id not in starved:
            continue
        starved[link.sink_id].add(link.sink_name)
        if index not in broken_links:
            feeds[link.source_id].append((link.sink_id, link.sink_name))
    ready = [key for key, pins in starved.items() if not pins]
    alive = set(ready)
    while ready:
        for key, pin in feeds[ready.pop()]:
            starved[key].discard(pin)
            if not starved[key] and key not in alive:
                alive.add(key)
                ready.append(key)
    return alive


def _starved_pins(drawing: Drawing, alive: Collection[str], broken_links: Collection[int]) -> dict[str, list[str]]:
    """Return, by node, the linked pins on which nothing can arrive."""
    waited: dict[str, dict[str, bool]] = {node.id: {} for node in drawing.nodes}
    for index, link in enumerate(drawing.links):
        if link.sink_id in waited:
            is_fed = link.source_id in alive and index not in broken_links
            waited[link.sink_id][link.sink_name] = is_fed or waited[link.sink_id].get(link.sink_name, False)
    return {key: [pin for pin, is_fed in pins.items() if not is_fed] for key, pins in waited.items()}
