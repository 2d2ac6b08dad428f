"""What the doors may ask of executions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from pydantic_core import PydanticSerializationError, to_json

from agentplatform.lib.clock import now
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
    for name, value in inputs.items():
        _check_storable(name, value)
    return dict(inputs)


def _check_storable(name: str, value: Any) -> None:
    path = f"inputs.{name}"
    try:
        written = to_json(value, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise InputsInvalid(f"The input {name!r} is not JSON: {error}.", path=path) from None
    if len(written) > settings.AGENTPLATFORM_MAX_OUTPUT_BYTES:
        raise InputsInvalid(f"The input {name!r} has {len(written):,} bytes.", path=path, hint="Give it in parts.")
    if b"\\u0000" in written or b"NaN" in written or b"Infinity" in written:
        _refuse_unstorable(name, value, path)


def _refuse_unstorable(name: str, value: Any, path: str) -> None:
    """Look closer: the text may merely contain these letters."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_unstorable(name, key, path)
            _refuse_unstorable(name, inner, path)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_unstorable(name, inner, path)
    elif isinstance(value, str) and "\0" in value:
        raise InputsInvalid(f"The input {name!r} contains a NUL character.", path=path, hint="Remove it.")
    elif isinstance(value, float) and value - value != 0:
        raise InputsInvalid(f"The input {name!r} contains {value}, which JSON can not hold.", path=path)
