"""Start once for each key: whoever asks again, after a time-out or by mistake, gets the execution that came of the first time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from pydantic_core import to_json

from agentplatform.lib.clock import now
from executions.errors import StartInFlight, StartKeyInvalid, StartKeyReused
from executions.models import Execution, StartKey

KEPT = timedelta(hours=24)
MAX_KEY = 200
#: So many keys that are over are removed at once.
AT_ONCE = 10_000


def digest_of(what: str, asked: Any) -> str:
    """Return by what the same question is known again, however its JSON was written."""
    return hashlib.sha256(to_json([what, _ordered(asked)])).hexdigest()


def start_once(key: str, digest: str, start: Callable[[], Execution], *, owner_id: int) -> tuple[Execution, bool]:
    """Return the execution of a key, and whether it was there before; else call `start`. Both are written together or not at all.

    Raises:
        StartKeyInvalid: this can not be a key.
        StartKeyReused: the key stands for something else that was asked.
        StartInFlight: somebody asks with the same key at this moment.
    """
    if not 0 < len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise StartKeyInvalid
    with transaction.atomic():
        _lock(owner_id, key)
        known = StartKey.objects.filter(owner_id=owner_id, key=key).first()
        if known and known.created_at > now() - KEPT:
            if known.digest != digest:
                raise StartKeyReused(f"The key {key!r} has started something else.")
            if execution := Execution.objects.filter(pk=known.execution_id).first():
                return execution, True
        execution = start()
        fields = {"digest": digest, "execution_id": execution.pk, "created_at": now()}
        StartKey.objects.update_or_create(owner_id=owner_id, key=key, defaults=fields)
        return execution, False


def forget_old() -> int:
    """Remove keys that are over. Return how many they were."""
    old = StartKey.objects.filter(created_at__lt=now() - KEPT).order_by("created_at").values("pk")[:AT_ONCE]
    return StartKey.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()[0]


def _lock(owner_id: int, key: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [owner_id, key])
        (is_ours,) = cursor.fetchone()
    if not is_ours:
        raise StartInFlight


def _ordered(value: Any) -> Any:
    """Return a value with the keys of its dicts in one order."""
    if isinstance(value, Mapping):
        return [[str(key), _ordered(value[key])] for key in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        return [_ordered(one) for one in value]
    return value
