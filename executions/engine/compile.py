"""From a plan and what is resolved to the canvas that runs the rest: pure, so that start, retry and recovery are one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from executions.engine.plan import Plan
from executions.engine.segments import CPU_QUEUE, Segment

#: A message names its segments in at most so many characters; a lane that needs more is split.
MAX_NAMES_LENGTH = 150

#: What a message names is read into memory: a forged one must not fill it.
MOST_NUMBERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Items:
    """A range of the firings of one node, in order of their paths."""

    node: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Lane:
    """One task: segments that run side by side in one worker."""

    queue: str
    segments: tuple[int, ...]
    #: Successors that the canvas itself sends on, so that the settling worker need not.
    covered: tuple[int, ...] = ()
    items: Items | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Lanes that follow each other."""

    lanes: tuple[Lane, ...]


@dataclass(frozen=True, slots=True)
class Chord:
    """Lanes that meet in a join."""

    header: tuple[Lane, ...]
    body: Lane


Canvas = Lane | Chain | Chord


@dataclass(frozen=True, slots=True)
class Limits:
    """How wide the work is spread."""

    #: At most so many parallel tasks of one execution per queue.
    lanes: int = 4
    #: So many concurrent waits are carried by one task before they are spread.
    chunk: int = 100


def runnable(plan: Plan, done: Collection[int]) -> list[int]:
    """Return the segments that have not ended and wait for nothing that has not ended."""
    ended = frozenset(done)
    return [s.index for s in plan.segments if s.index not in ended and s.producers <= ended]


def is_of(plan: Plan, lane: Lane) -> bool:
    """Say whether a plan has what a lane names: the message of another release may mean another cut."""
    if any(index >= len(plan.segments) for index in lane.segments):
        return False
    return lane.items is None or any(lane.items.node in plan.segments[index].nodes for index in lane.segments)


def compile(plan: Plan, done: Collection[int], limits: Limits, *, wave: Sequence[int] | None = None) -> list[Canvas]:
    """Compile what can run now into canvases that are sent side by side.

    `done` are the segments that have ended; `wave` narrows what is sent to some of the runnable segments.
    """
    ended = frozenset(done)
    wave = runnable(plan, ended) if wave is None else wave
    lanes = list(_pack(plan, wave, limits))
    if not lanes:
        return []
    joins = [plan.segments[index] for index in _successors(plan, wave, ended)]
    if len(lanes) == 1 and len(wave) == 1:
        return [_chain(plan, lanes[0], ended)]
    meeting = [join.index for join in joins if all(join.producers.intersection(lane.segments) for lane in lanes)]
    bodies = list(_pack(plan, meeting, limits))
    if len(lanes) > 1 and len(bodies) == 1:
        return [Chord(tuple(replace(lane, covered=tuple(meeting)) for lane in lanes), bodies[0])]
    return list(lanes)


def remaining(plan: Plan, done: Collection[int], limits: Limits) -> list[Canvas]:
    """Compile what is left of an execution that has not ended; where nothing is left, the lane that ends it.

    That is so when workers of two releases, each counting by its own cut of the plan, did the last of it, and neither knew.
    """
    last = len(plan.segments) - 1
    return compile(plan, frozenset(done) - {last} if len(frozenset(done)) > last else done, limits)


def spread(lane: Lane, node: int, ready: Sequence[int], limits: Limits) -> Chord:
    """Spread the firings `ready` (positions in path order) of a node over chunks, which meet in the lane again."""
    size = limits.chunk if lane.queue != CPU_QUEUE else max(1, -(-len(ready) // (limits.lanes * 4)))
    chunks = [
        Items(node, positions[0], positions[-1] + 1)
        for positions in (ready[start : start + size] for start in range(0, len(ready), size))
    ]
    return Chord(tuple(replace(lane, items=chunk) for chunk in chunks), replace(lane, items=None))


def names(segments: Iterable[int]) -> str:
    """Write segment numbers as short ranges: `0-3,7`."""
    runs = []
    for _, group in groupby(enumerate(sorted(segments)), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        runs.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ",".join(runs)


def numbers(written: str) -> list[int]:
    """Read what `names` wrote.

    Raises:
        ValueError: it is not such a text.
    """
    found: list[int] = []
    for run in written.split(",") if written else ():
        first, _, last = run.partition("-")
        meant = range(int(first), int(last or first) + 1)
        if len(found) + len(meant) > MOST_NUMBERS:
            raise ValueError(f"{run} are more segments than any graph has")
        found.extend(meant)
    return found


def _pack(plan: Plan, wave: Iterable[int], limits: Limits) -> Iterator[Lane]:
    """Pack parallel segments into as few tasks as carry them well: waits share a loop, CPU is spread at once."""
    queues: dict[str, list[int]] = {}
    for index in wave:
        queues.setdefault(plan.segments[index].queue, []).append(index)
    for queue, indexes in sorted(queues.items()):
        width = 1 if queue == CPU_QUEUE else limits.chunk
        count = min(limits.lanes, -(-len(indexes) // width))
        size = -(-len(indexes) // count)
        for start in range(0, len(indexes), size):
            for part in _short(indexes[start : start + size]):
                yield Lane(queue, tuple(part))


def _short(indexes: list[int]) -> list[list[int]]:
    if len(names(indexes)) <= MAX_NAMES_LENGTH:
        return [indexes]
    middle = len(indexes) // 2
    return _short(indexes[:middle]) + _short(indexes[middle:])


def _successors(plan: Plan, wave: Iterable[int], ended: frozenset[int]) -> list[int]:
    """Return the segments that wait for this wave and for nothing else."""
    coming = ended.union(wave)
    after = sorted({consumer for index in wave for consumer in plan.segments[index].consumers})
    return [index for index in after if plan.segments[index].producers <= coming]


def _chain(plan: Plan, lane: Lane, ended: frozenset[int]) -> Canvas:
    """Send a lone segment together with the one that waits for it alone; what follows that is sent when it is known."""
    following = _only_successor(plan, plan.segments[lane.segments[0]], ended)
    if following is None:
        return lane
    return Chain((replace(lane, covered=(following.index,)), Lane(following.queue, (following.index,))))


def _only_successor(plan: Plan, segment: Segment, ended: frozenset[int]) -> Segment | None:
    if len(segment.consumers) != 1:
        return None
    (index,) = segment.consumers
    following = plan.segments[index]
    return following if following.producers <= ended | {segment.index} else None
