"""What must hold after any fault: the promises over the whole database, the ends of what was started, and the effects outside."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from uuid import UUID

from blocks.sdk import Block, Effects
from executions import invariants
from executions.engine.status import NodeStatus, Status
from executions.models import Execution, NodeExecution
from graphs.models import Node
from tests.faults.blocks import FAULT_BLOCKS
from tests.faults.effects import Sink
from tests.faults.load import Accepted, Load
from tests.faults.losses import Losses

#: How long what is under way may look as if nobody cared: more than a lease and two looks of `stack.SHORT_LEASES`.
GRACE_S = 5.0
#: By its id: each block that has an effect.
EFFECTFUL = {block.id: block for block in FAULT_BLOCKS if block.effects is not Effects.NONE}


def assert_sound(load: Load, *, forgotten: int = 0, skew_s: float = invariants.SKEW_S, within_s: float = 90.0) -> None:
    """Wait until nothing moves, then find nothing wrong. `forgotten` claims of a firing may have been lost by a crash of the database."""
    load.wait(within_s=within_s)

    wrong = list(problems(load, forgotten=forgotten, skew_s=skew_s))

    assert wrong == [], "\n".join(wrong[:20])


def problems(
    load: Load, *, forgotten: int = 0, skew_s: float = invariants.SKEW_S, losses: Losses | None = None
) -> Iterator[str]:
    """Yield whatever is wrong, in words. Where anything may be struck at any time, a firing may lose three workers without its fault."""
    yield from (str(violation) for violation in invariants.check(grace_s=GRACE_S, skew_s=skew_s))
    yield from wrong_ends(load.accepted, losses)
    yield from wrong_effects(load.stack.sink, forgotten=forgotten)


def wrong_ends(accepted: list[Accepted], losses: Losses | None = None) -> Iterator[str]:
    """Yield each accepted execution that is not there, or did not end as its graph says, nor as what was done to its workers."""
    found = Execution.objects.in_bulk([one.id for one in accepted])
    for one in accepted:
        execution = found.get(one.id)
        if execution is None:
            yield f"{one.id} ({one.shape.name}) was accepted and is not there"
            continue
        if execution.status == Status.WAITING:
            continue
        end = (execution.status, execution.error_code)
        if losses and end == (Status.FAILED, "POISON") and end not in one.shape.ends:
            yield from (f"{one.id} ({one.shape.name}) ended {end}: {why}" for why in losses.unexplained(one.id))
        elif end not in one.shape.ends:
            yield f"{one.id} ({one.shape.name}) ended {end}: {execution.error_message}"
        elif execution.status == Status.SUCCEEDED and execution.outputs != one.shape.outputs(one.number):
            yield f"{one.id} ({one.shape.name}) gave {execution.outputs} for {one.number}"


def wrong_effects(sink: Sink, *, forgotten: int = 0) -> Iterator[str]:
    """Yield each effect that happened without its firing, or too often; and each firing that succeeded without its effect."""
    counts = sink.counts()
    by_execution: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    for effect in sink.all():
        by_execution[effect.execution_id][effect.key] += 1
    blocks = _blocks(set(by_execution))
    for row in NodeExecution.objects.filter(execution_id__in=by_execution).iterator():
        key = key_of(row)
        block = blocks.get((row.execution_id, row.node_key))
        times = by_execution[row.execution_id].pop(key, 0)
        if block is None:
            continue
        if row.status == NodeStatus.SUCCEEDED and not times:
            yield f"{key} succeeded without its effect"
        allowed = allowed_effects(row, block, forgotten=forgotten)
        if times > allowed:
            yield f"{key} had {times} effects in {row.attempt} attempts; {allowed} are allowed"
    for left in by_execution.values():
        yield from (f"{key} had {counts[key]} effects and has no row" for key in left)


def allowed_effects(row: NodeExecution, block: type[Block], *, forgotten: int) -> int:
    """Return how often the effect of a firing may have happened."""
    if block.effects is Effects.AT_MOST_ONCE:
        return 1
    # What a worker tried under one lease is forgotten with it; what it handed on when it was told to stop is remembered.
    tries = block.retry.attempts if block.retry else 1
    handed_on = sum(not one["code"] for one in row.history)
    return (row.crashes + 1 + forgotten) * tries + handed_on


def key_of(row: NodeExecution) -> str:
    """Return the idempotency key of a firing."""
    return f"{row.execution_id}:{row.node_key}:{','.join(map(str, row.item_path))}"


def _blocks(ids: set[UUID]) -> dict[tuple[UUID, str], type[Block]]:
    """Return the block of each node of these executions that has effects."""
    versions = dict(Execution.objects.filter(pk__in=ids).values_list("id", "version_id"))
    by_version: defaultdict[UUID, dict[str, type[Block]]] = defaultdict(dict)
    nodes = Node.objects.filter(version_id__in=set(versions.values()), block_id__in=EFFECTFUL)
    for version_id, key, block_id in nodes.values_list("version_id", "key", "block_id"):
        by_version[version_id][key] = EFFECTFUL[block_id]
    return {(one, key): block for one, version in versions.items() for key, block in by_version[version].items()}
