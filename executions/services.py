"""What the doors may ask of executions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from pydantic_core import to_json

from agentplatform.lib.clock import now
from blocks.jsonable import jsonable
from blocks.sdk import BlockType
from executions import launch, outbox
from executions.engine.plan import Plan
from executions.errors import InputsInvalid, VersionNotPublished, WaitTimedOut
from executions.models import Execution
from executions.plans import plan_of
from graphs.models import GraphVersion

SHORTEST_LOOK_S, LONGEST_LOOK_S = 0.002, 0.25


def start(*, version_id: UUID, owner_id: int, inputs: Mapping[str, Any] | None = None) -> Execution:
    """Record a new execution, and launch it once the row is committed: also if that is the caller's transaction.

    Raises:
        VersionNotPublished: the version does not exist or is a draft.
        InputsInvalid: an input is missing, unknown or can not be stored.
    """
    execution = Execution(
        graph_id=_graph_of(version_id),
        version_id=version_id,
        owner_id=owner_id,
        inputs=_checked(inputs or {}, plan_of(version_id)),
        launched_at=now(),
        launches=1,
    )
    execution.save(force_insert=True)
    # Runs at once unless the caller has a transaction open. The row is the real outbox: if this send is lost, reconcile finds it.
    transaction.on_commit(partial(_send, execution), robust=True)
    return execution


@lru_cache(maxsize=512)
def _graph_of(version_id: UUID) -> UUID:
    """Return the graph of a published version; that never changes."""
    version = GraphVersion.objects.filter(pk=version_id, published_at__isnull=False).only("graph_id").first()
    if version is None:
        raise VersionNotPublished
    return version.graph_id


def wait(execution_id: UUID, *, timeout_s: float) -> Execution:
    """Return the execution once it has ended.

    Raises:
        WaitTimedOut: it has not ended in time; it goes on.
    """
    deadline = time.monotonic() + timeout_s
    pause = SHORTEST_LOOK_S
    while True:
        execution = Execution.objects.get(pk=execution_id)
        if execution.is_final:
            return execution
        if time.monotonic() > deadline:
            raise WaitTimedOut(f"Execution {execution_id} is {execution.status} after {timeout_s:g} s.")
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_LOOK_S)


def _send(execution: Execution) -> None:
    outbox.post((execution.pk, canvas) for canvas in launch.first_wave(execution.version_id))


def _checked(inputs: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Return the inputs as they are stored, after comparing them with what the graph declares."""
    declared = {
        str(node.constants.get("name")): "default" in node.constants
        for node in plan.nodes
        if node.block.block_type is BlockType.INPUT
    }
    for name in inputs:
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise InputsInvalid(f"The graph has no input {name!r}. It has: {known}.", path=f"inputs.{name}")
    for name, has_default in declared.items():
        if name not in inputs and not has_default:
            raise InputsInvalid(f"The input {name!r} is missing.", path=f"inputs.{name}")
    return {name: _storable(value, f"inputs.{name}") for name, value in inputs.items()}


def _storable(value: Any, path: str) -> Any:
    """Return a value as JSON holds it, or refuse it."""
    try:
        kept = jsonable(value)
    except (ValueError, RecursionError) as error:
        raise InputsInvalid(f"This is not a JSON value: {error}.", path=path) from None
    # What a block yields is cleaned of NUL; what somebody asks for is not changed behind their back.
    if _is_altered(value, kept):
        raise InputsInvalid("This contains a NUL character or half a surrogate pair.", path=path, hint="Remove it.")
    size = len(to_json(kept))
    if size > settings.AGENTPLATFORM_MAX_OUTPUT_BYTES:
        raise InputsInvalid(f"This has {size:,} bytes.", path=path, hint="Give it in parts.")
    return kept


def _is_altered(given: Any, kept: Any) -> bool:
    """Say whether a text in `given` could not be kept as it is."""
    if isinstance(given, str):
        return bool(given != kept)
    if isinstance(given, Mapping):
        if len(given) != len(kept):
            return True
        pairs = zip(given.items(), kept.items(), strict=True)
        return any(_is_altered(key, its) or _is_altered(value, theirs) for (key, value), (its, theirs) in pairs)
    if isinstance(given, list | tuple) and isinstance(kept, list):
        return any(_is_altered(one, its) for one, its in zip(given, kept, strict=True))
    return False
