"""Start once for each key: whoever asks again, after a time-out or by mistake, gets the execution that came of the first time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from pydantic_core import to_json

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from executions import outbox, statements
from executions.errors import StartInFlight, StartKeyInvalid, StartKeyReused
from executions.models import Execution, StartKey

KEPT = timedelta(hours=24)
MAX_KEY = 200
#: So many keys that are over are removed at once.
AT_ONCE = 10_000


def digest_of(what: str, asked: Any) -> str:
    """Return by what the same question is known again, however its JSON was written."""
    return hashlib.sha256(to_json([what, _ordered(asked)])).hexdigest()


def check_key(key: str) -> None:
    """See to it that this can be a key; one that is empty is a variable that nobody has set.

    Raises:
        StartKeyInvalid: it can not.
    """
    if not 0 < len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise StartKeyInvalid


def start_once(key: str, digest: str, start: Callable[[UUID], Execution], *, owner_id: int) -> tuple[Execution, bool]:
    """Return the execution of a key, and whether it was there before; else call `start` with the id that the new one is to have.

    Key and execution are written together, in a transaction of their own, or not at all.

    Raises:
        StartKeyInvalid: this can not be a key.
        StartKeyReused: the key stands for something else that was asked.
        StartInFlight: somebody asks with the same key at this moment.
    """
    check_key(key)
    execution_id = uuid7()
    with outbox.accepting(), transaction.atomic(durable=True):
        if not _keep(key, digest, execution_id, owner_id=owner_id):
            known = StartKey.objects.get(owner_id=owner_id, key=key)
            if known.digest != digest:
                raise StartKeyReused(f"The key {key!r} has started something else.")
            if execution := Execution.objects.filter(pk=known.execution_id).first():
                return execution, True
            # Its month was dropped.
            StartKey.objects.filter(pk=known.pk).update(execution_id=execution_id, created_at=now())
        return start(execution_id), False


def forget_old() -> int:
    """Remove keys that are over. Return how many they were."""
    old = StartKey.objects.filter(created_at__lt=now() - KEPT).order_by("created_at").values("pk")[:AT_ONCE]
    return StartKey.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()[0]


def _keep(key: str, digest: str, execution_id: UUID, *, owner_id: int) -> bool:
    """Keep the key, locked until the end of the transaction. Return False if it is known already.

    Raises:
        StartInFlight: somebody else has it locked.
    """
    moment = now()
    with statements.cursor() as cursor:
        statements.run(
            cursor,
            "keep_start_key",
            owner_id=owner_id,
            key=key,
            digest=digest,
            execution_id=execution_id,
            now=moment,
            over=moment - KEPT,
        )
        row = cursor.fetchone()
    if row is None or not row[0]:
        raise StartInFlight
    return bool(row[1])


def _ordered(value: Any) -> Any:
    """Return a value with the keys of its dicts in one order."""
    if isinstance(value, Mapping):
        return [[str(key), _ordered(value[key])] for key in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        return [_ordered(one) for one in value]
    return value
