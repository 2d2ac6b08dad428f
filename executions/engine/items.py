"""Item paths: what arrives on a pin, and where a node fires. The rules are in docs/semantics.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from executions.engine.status import NodeStatus
from graphs.pins import MISSING, Pin, drill

Path = tuple[int, ...]


class _Dead:
    """Marks a path at which nothing will come."""

    def __repr__(self) -> str:
        return "DEAD"


DEAD: Final = _Dead()
#: The last number of the path at which an empty stream is dead.
EMPTY: Final = -1
#: The last number of the path at which a stream is dead that was never opened, as its firing did not succeed.
UNOPENED: Final = -2
ERROR_PIN: Final = "error"

#: What arrives on a pin: a value or DEAD by path.
Entries = dict[Path, Any]
#: What one link gives, in the order of the firings that gave it; a path may occur twice.
Given = Sequence[tuple[Path, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a firing ended and, by pin, the values it gave."""

    status: NodeStatus
    outputs: Mapping[str, list[Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Matched:
    """Where a node fires, with the value of each pin, and where it does not."""

    firings: dict[Path, dict[str, Any]] = field(default_factory=dict)
    skipped: list[Path] = field(default_factory=list)
    #: By path, the pins on which no partner arrived.
    incomplete: dict[Path, tuple[str, ...]] = field(default_factory=dict)


def items_of(outcome: Outcome, path: Path, pin: Pin, *, is_stream: bool) -> Given:
    """Return what a firing that ended at `path` puts on a link that leaves from `pin`."""
    values = outcome.outputs.get(pin.name)
    if not values:
        if not is_stream:
            return ((path, DEAD),)
        return (((*path, EMPTY if outcome.status is NodeStatus.SUCCEEDED else UNOPENED), DEAD),)
    if pin.steps:
        values = [DEAD if found is MISSING else found for found in (drill(value, pin) for value in values)]
    if len(values) == 1 and not is_stream:
        return ((path, values[0]),)
    return [((*path, index), value) for index, value in enumerate(values)]


def merge(links: Sequence[Given]) -> Entries:
    """Join what arrives on one pin: where several values are live at a path, they move one level down, in link order."""
    merged: Entries = {}
    if len(links) == 1 and len(merged := dict(links[0])) == len(links[0]):
        return merged
    merged = {}
    waiting: dict[Path, list[Any]] = {}
    for given in links:
        for path, value in given:
            waiting.setdefault(path, [])
            if value is not DEAD:
                waiting[path].append(value)
    moved: dict[Path, list[Any]] = {}
    # Shorter paths first: what they push down may meet a value there, and then moves on with it.
    depth = 0
    while waiting or moved:
        here = {path for path in (*waiting, *moved) if len(path) == depth}
        for path in here:
            values = moved.pop(path, []) + waiting.pop(path, [])
            if len(values) <= 1:
                merged[path] = values[0] if values else DEAD
            else:
                for index, value in enumerate(values):
                    moved.setdefault((*path, index), []).append(value)
        depth += 1
    return merged


def gather(entries: Entries) -> Entries:
    """Take one level off: the live items of a group become one list, ordered by path."""
    groups: dict[Path, list[tuple[Path, Any]]] = {}
    absent: set[Path] = set()
    for path, value in entries.items():
        if value is DEAD and (not path or path[-1] == UNOPENED):
            absent.add(path[:-1])
            continue
        group = groups.setdefault(path[:-1], [])
        if value is not DEAD:
            group.append((path, value))
    gathered: Entries = {group: [value for _, value in sorted(live, key=_by_path)] for group, live in groups.items()}
    return dict.fromkeys(absent, DEAD) | gathered


def last_live(links: Sequence[Given]) -> Any:
    """Return the value that static links broadcast: the last by path of the last link that has one, or DEAD."""
    for given in reversed(links):
        live = [item for item in given if item[1] is not DEAD]
        if live:
            return sorted(live, key=_by_path)[-1][1]
    return DEAD


def are_apart(paths: Iterable[Path]) -> bool:
    """Say whether no path is the beginning of another: then items of different firings can never meet at a path."""
    ordered = sorted(paths)
    return all(following[: len(path)] != path for path, following in pairwise(ordered))


def match(pins: Mapping[str, Entries]) -> Matched:
    """Find where a node with these linked, non-static pins fires."""
    if not pins:
        return Matched(firings={(): {}})
    if len(pins) == 1:
        ((name, entries),) = pins.items()
        return Matched(
            firings={path: {name: value} for path, value in entries.items() if value is not DEAD},
            skipped=[path for path, value in entries.items() if value is DEAD],
        )
    matched = Matched()
    used: set[tuple[str, Path]] = set()
    left_over: list[Path] = []
    for candidate in {path for entries in pins.values() for path in entries}:
        answers = {name: _longest_prefix(entries, candidate) for name, entries in pins.items()}
        if None in answers.values():
            left_over.append(candidate)
            continue
        used.update((name, path) for name, path in answers.items() if path is not None)
        values = {name: pins[name][path] for name, path in answers.items() if path is not None}
        if any(value is DEAD for value in values.values()):
            matched.skipped.append(candidate)
        else:
            matched.firings[candidate] = values
    for candidate in left_over:
        unused = [pins[name][candidate] for name in pins if candidate in pins[name] and (name, candidate) not in used]
        if any(value is not DEAD for value in unused):
            missing = (name for name, entries in pins.items() if _longest_prefix(entries, candidate) is None)
            matched.incomplete[candidate] = tuple(missing)
        elif unused:
            matched.skipped.append(candidate)
    return matched


def _longest_prefix(entries: Entries, path: Path) -> Path | None:
    for length in range(len(path), -1, -1):
        if path[:length] in entries:
            return path[:length]
    return None


def _by_path(item: tuple[Path, Any]) -> Path:
    return item[0]
