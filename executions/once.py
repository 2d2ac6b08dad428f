"""Start once for each key: whoever asks again gets the execution that came of the first time."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from agentplatform.lib.once import once
from executions import outbox
from executions.models import Execution, StartKey


def start_once(key: str, digest: str, start: Callable[[UUID], Execution], *, owner_id: int) -> tuple[Execution, bool]:
    """Return the execution of a key, and whether it was there before; else call `start` with the id that the new one is to have.

    Raises:
        KeyInvalid, KeyReused, KeyInFlight: as `agentplatform.lib.once.once`.
    """
    with outbox.accepting():
        return once(StartKey, key, digest, owner_id=owner_id, find=_find, make=start)


def _find(execution_id: UUID) -> Execution | None:
    # None: its month was dropped.
    return Execution.objects.filter(pk=execution_id).first()
