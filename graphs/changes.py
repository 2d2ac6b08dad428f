"""What has changed between two versions of a graph, as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import unified_diff
from itertools import takewhile

from graphs import documents
from graphs.documents import GraphModel
from graphs.models import GraphVersion

#: Where more lines lie between the first and the last that differ, these are shown as one change: to compare each with each takes minutes.
MOST_COMPARED = 10_000


def between(before: GraphVersion, after: GraphVersion) -> str:
    """Return the unified diff of two documents as YAML; nothing if they say the same."""
    return "".join(unified(_lines(before), _lines(after), before=str(before), after=str(after)))


def unified(then: Sequence[str], now: Sequence[str], *, before: str, after: str) -> Iterator[str]:
    """Yield the lines of a unified diff; of what is too long to be compared, as one change."""
    head = _alike(then, now)
    tail = _alike(then[head:][::-1], now[head:][::-1])
    gone, come = then[head : len(then) - tail], now[head : len(now) - tail]
    if max(len(gone), len(come)) <= MOST_COMPARED:
        yield from unified_diff(then, now, fromfile=before, tofile=after)
        return
    yield f"--- {before}\n+++ {after}\n@@ -{_span(head, gone)} +{_span(head, come)} @@\n"
    yield from (f"-{line}" for line in gone)
    yield from (f"+{line}" for line in come)


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """Return in how many lines two texts begin alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _span(head: int, lines: Sequence[str]) -> str:
    # As `diff` counts: of nothing, the line before it.
    return f"{head + 1 if lines else head},{len(lines)}"


def _lines(version: GraphVersion) -> list[str]:
    return documents.write(GraphModel.load(version), "yaml").splitlines(keepends=True)
