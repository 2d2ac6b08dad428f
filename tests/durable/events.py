"""What can happen in a history, and how likely it is; and histories by chance, each repeated by its seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from blocks.sdk import Effects
from executions.decisions import Choice
from executions.engine.compile import Limits
from executions.engine.waits import WaitKind
from tests.durable.database import GRACE_S, LEASE_S
from tests.durable.probes import RETRIES, Manner, Way
from tests.durable.worker import Task
from tests.durable.world import World
from tests.strategies import random_graph

#: Chooses one of some options.
Pick = Callable[[Sequence[Any]], Any]

LIMITS = (Limits(), Limits(lanes=2, chunk=1), Limits(lanes=3, chunk=2))
MANNERS = tuple(Manner(effects, retry) for effects in Effects for retry in (None, *RETRIES))
PAUSES_S = (0.5, 3.0, GRACE_S + 0.1, LEASE_S + 0.1, 70.0)
KINDS = (WaitKind.APPROVAL, WaitKind.TIMER)
MOST_WORKERS = MOST_EXECUTIONS = 3


@dataclass(frozen=True, slots=True)
class Event:
    """Something that can happen to one of some things, as long as there are any."""

    weight: int
    to: Callable[[World], Sequence[Any]]
    happens: Callable[[World, Any, Pick], object]


def _workers(world: World) -> Sequence[Any]:
    return world.workers


def _closing(world: World) -> Sequence[Any]:
    return [worker for worker in world.workers if worker.is_closing]


def _settling(world: World) -> Sequence[Any]:
    return [worker for worker in world.workers if worker.has_to_settle()]


def _messages(world: World) -> Sequence[Any]:
    return world.messages if world.workers else ()


def _gates(world: World) -> Sequence[Any]:
    return world.gates


def _lanes(world: World) -> list[Task]:
    return [task for worker in world.workers for task in worker.tasks if task.can_go_on]


def _going(world: World) -> list[Any]:
    return [kept for kept in world.database.all() if not kept.is_final]


def _ended(world: World) -> list[Any]:
    full = len(world.database.kept) >= MOST_EXECUTIONS
    return [] if full else [kept for kept in world.database.all() if kept.is_final]


def _always(world: World) -> Sequence[Any]:
    return (None,)


def _retry(world: World, ended: Any, pick: Pick) -> None:
    node = pick([None, *(node.key for node in world.drawn.nodes)])
    world.retry(ended, from_node=node, with_other_inputs=pick([False, True]))


EVENTS: dict[str, Event] = {
    "a message is delivered": Event(120, _messages, lambda w, message, pick: w.deliver(message, pick(w.workers))),
    "a lane gets its answer": Event(300, _lanes, lambda w, lane, pick: w.step(lane)),
    "a block ends": Event(120, _gates, lambda w, gate, pick: w.open(gate, Way.END)),
    "a block fails": Event(20, _gates, lambda w, gate, pick: w.open(gate, Way.FAIL)),
    "a block waits": Event(20, _gates, lambda w, gate, pick: w.open(gate, Way.WAIT, pick(KINDS))),
    "time passes": Event(40, _always, lambda w, _, pick: w.advance(pick(PAUSES_S))),
    "beat reconciles": Event(40, _always, lambda w, _, pick: w.reconcile()),
    "a worker renews its leases": Event(40, _workers, lambda w, worker, pick: worker.beat(w.database)),
    "a worker settles lanes together": Event(20, _settling, lambda w, worker, pick: w.settle_together(worker)),
    "somebody answers": Event(30, World.open_waits, lambda w, wait, pick: w.answer(wait, pick(list(Choice)))),
    "a worker starts": Event(
        40, lambda w: (None,)[len(w.workers) // MOST_WORKERS :], lambda w, _, pick: w.add_worker()
    ),
    "a worker is killed": Event(20, _workers, lambda w, one, pick: w.crash(one, after=pick([None, *one.tasks]))),
    "a worker is told to stop": Event(5, _workers, lambda w, worker, pick: w.tell_to_stop(worker)),
    "the grace of a worker ends": Event(10, _closing, lambda w, worker, pick: w.end_grace(worker)),
    "a worker can not renew": Event(5, _workers, lambda w, worker, pick: worker.beat(None)),
    "the database is killed": Event(4, _always, lambda w, _, pick: w.crash_database()),
    "a message is lost": Event(10, _messages, lambda w, message, pick: w.messages.remove(message)),
    "a message comes twice": Event(20, _messages, lambda w, one, pick: w.deliver(one, pick(w.workers), is_copied=True)),
    "an answer is lost": Event(20, _lanes, lambda w, lane, pick: w.step(lane, answer_is_lost=True)),
    "somebody pauses": Event(7, _going, lambda w, kept, pick: w.pause(kept.id)),
    "somebody resumes": Event(20, _going, lambda w, kept, pick: w.resume(kept.id)),
    "somebody cancels": Event(1, _going, lambda w, kept, pick: w.cancel(kept.id)),
    "the platform stops an execution": Event(1, _going, lambda w, kept, pick: w.stop(kept.id)),
    "somebody retries": Event(30, _ended, _retry),
    "a release is deployed": Event(2, _always, lambda w, _, pick: w.deploy()),
}


#: What happens where nothing goes wrong.
UNDISTURBED = (
    "a message is delivered",
    "a lane gets its answer",
    "a block ends",
    "a worker settles lanes together",
)


def occasions(world: World, names: Iterable[str] = tuple(EVENTS)) -> list[str]:
    """Return what can happen now."""
    return [name for name in names if EVENTS[name].to(world)]


def happen(world: World, name: str, pick: Pick) -> None:
    """Let one thing happen."""
    event = EVENTS[name]
    event.happens(world, pick(event.to(world)), pick)


def world_by_chance(seed: int, *, max_nodes: int) -> World:
    """Return the beginning of the history of a seed."""
    chance = Random(seed)
    drawn = random_graph(seed, max_nodes=max_nodes)
    manners = [chance.choice(MANNERS) for _ in drawn.nodes]
    return World(drawn, manners, chance.choice(LIMITS))


def live_by_chance(world: World, seed: int, *, events: int) -> None:
    """Let so many things happen."""
    chance = Random(seed)
    for _ in range(events):
        _happen_by_chance(world, chance, occasions(world))


def live_undisturbed(world: World, seed: int) -> None:
    """Let happen, in an order that chance decides, what must be enough for an execution to end: no time passes, nobody reconciles."""
    chance = Random(seed)
    while possible := occasions(world, UNDISTURBED):
        _happen_by_chance(world, chance, possible)


def _happen_by_chance(world: World, chance: Random, possible: Sequence[str]) -> None:
    (name,) = chance.choices(possible, [EVENTS[name].weight for name in possible])
    happen(world, name, lambda options: chance.choice(list(options)))
