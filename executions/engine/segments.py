"""Where a graph is cut: a segment is a connected piece that gains nothing from being cut further."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blocks.sdk import Placement

DEFAULT_QUEUE = "default"
CPU_QUEUE = "cpu"


@dataclass(frozen=True, slots=True)
class Segment:
    """Nodes that one task runs together, in order, and the segments it waits for and feeds."""

    index: int
    nodes: tuple[int, ...]
    queue: str
    producers: frozenset[int]
    consumers: frozenset[int]


def cut(
    placements: Sequence[Placement], producers: Sequence[Sequence[int]], consumers: Sequence[Sequence[int]]
) -> list[Segment]:
    """Cut a graph, given as nodes in topological order, into segments that form no circle, in topological order."""
    pieces = _Pieces(placements, producers, consumers)
    for node in range(len(placements)):
        pieces.place(node)
    pieces.join_runs()
    order = pieces.in_order()
    number = {piece: index for index, piece in enumerate(order)}
    return [
        Segment(
            index=number[piece],
            nodes=tuple(sorted(pieces.members[piece])),
            queue=pieces.queue_of(piece),
            producers=frozenset(number[other] for other in pieces.before[piece]),
            consumers=frozenset(number[other] for other in pieces.after[piece]),
        )
        for piece in order
    ]


class _Pieces:
    """Nodes joined into pieces. No join makes a circle, and none makes a node wait for work it does not need."""

    def __init__(
        self,
        placements: Sequence[Placement],
        producers: Sequence[Sequence[int]],
        consumers: Sequence[Sequence[int]],
    ) -> None:
        self.placements = placements
        self.producers = producers
        self.consumers = consumers
        self.piece_of: dict[int, int] = {}
        self.members: dict[int, set[int]] = {}
        self.before: dict[int, set[int]] = {}
        self.after: dict[int, set[int]] = {}

    def place(self, node: int) -> None:
        """Give the next node, in topological order, a piece, then join what gains nothing from being apart."""
        feeding = {self.piece_of[producer] for producer in self.producers[node]}
        self.piece_of[node] = node
        self.members[node] = {node}
        self.before[node], self.after[node] = set(feeding), set()
        for piece in feeding:
            self.after[piece].add(node)
        home = self._home_of(node, feeding) if self.placements[node] is Placement.INLINE else None
        if home is not None:
            self._join(home, node)
        else:
            self._absorb_helpers(node, feeding)

    def join_runs(self) -> None:
        """Join each piece with the next, where the two are a run on one queue: nobody else before the next or after the first."""
        for piece in sorted(self.members):
            while piece in self.members and len(self.after[piece]) == 1:
                (following,) = self.after[piece]
                if len(self.before[following]) != 1 or not self._share_a_queue(piece, following):
                    break
                self._join(piece, following)

    def queue_of(self, piece: int) -> str:
        """Return the queue that a piece runs on."""
        is_cpu = any(self.placements[node] is Placement.CPU for node in self.members[piece])
        return CPU_QUEUE if is_cpu else DEFAULT_QUEUE

    def in_order(self) -> list[int]:
        """Return the pieces topologically, the one with the earliest node first among equals."""
        waiting = {piece: set(before) for piece, before in self.before.items()}
        order: list[int] = []
        while waiting:
            ready = sorted((piece for piece, before in waiting.items() if not before), key=self._first_node)
            order.extend(ready)
            for piece in ready:
                del waiting[piece]
            for before in waiting.values():
                before.difference_update(ready)
        return order

    def _home_of(self, node: int, feeding: set[int]) -> int | None:
        """Return the piece that a cheap node joins, after joining its feeders where that costs nobody a wait."""
        for piece in sorted(feeding):
            if all(self._reaches(other, piece) for other in feeding):
                return piece
        if feeding and all(self._is_cheap(piece) for piece in feeding):
            waits = {frozenset(self.before[piece]) for piece in feeding}
            if len(waits) == 1:
                return self._join_all(feeding)
        for piece in sorted(feeding):
            if all(other == piece or self._is_absorbable(other, piece, node) for other in feeding):
                return self._join_all([piece, *sorted(feeding - {piece})])
        return None

    def _is_absorbable(self, piece: int, home: int, node: int) -> bool:
        """Say whether a cheap piece can move into `home`: it serves nobody else and waits for nothing more."""
        return (
            self._is_cheap(piece)
            and self._serves_only(piece, self.members[home] | {node})
            and self.before[piece] <= self.before[home] | {home}
        )

    def _absorb_helpers(self, node: int, feeding: set[int]) -> None:
        """Take in the cheap pieces that serve this node alone; it waits for them anyway."""
        for piece in sorted(feeding):
            if self._is_cheap(piece) and self._serves_only(piece, self.members[node]):
                self._join(node, piece)

    def _serves_only(self, piece: int, nodes: set[int]) -> bool:
        inside = nodes | self.members[piece]
        return all(consumer in inside for member in self.members[piece] for consumer in self.consumers[member])

    def _join_all(self, pieces: Iterable[int]) -> int:
        first, *others = pieces
        for other in others:
            self._join(first, other)
        return first

    def _join(self, home: int, other: int) -> None:
        for member in self.members[other]:
            self.piece_of[member] = home
        self.members[home] |= self.members.pop(other)
        for ahead, back in ((self.before, self.after), (self.after, self.before)):
            for neighbour in ahead.pop(other):
                back[neighbour].discard(other)
                if neighbour != home:
                    ahead[home].add(neighbour)
                    back[neighbour].add(home)

    def _share_a_queue(self, piece: int, following: int) -> bool:
        same = self.queue_of(piece) == self.queue_of(following)
        return same or self._is_cheap(piece) or self._is_cheap(following)

    def _is_cheap(self, piece: int) -> bool:
        return all(self.placements[node] is Placement.INLINE for node in self.members[piece])

    def _first_node(self, piece: int) -> int:
        return min(self.members[piece])

    def _reaches(self, start: int, target: int) -> bool:
        found, todo = {start}, [start]
        while todo:
            piece = todo.pop()
            if piece == target:
                return True
            fresh = self.after[piece] - found
            found |= fresh
            todo.extend(fresh)
        return False
