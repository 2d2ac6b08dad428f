"""Make once for each key: whoever asks again, after a time-out or by mistake, gets what came of the first time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from drf_spectacular.utils import OpenApiParameter
from pydantic_core import to_json

from agentplatform.lib import prepared
from agentplatform.lib.clock import now
from agentplatform.lib.errors import AppError
from agentplatform.lib.ids import uuid7

T = TypeVar("T")

HEADER, REPLAYED = "Idempotency-Key", {"Idempotent-Replayed": "true"}
KEPT = timedelta(hours=24)
MAX_KEY = 200
#: So many keys that are over are removed by one statement, and so often in one round: more than come in the hour between two.
AT_ONCE, ROUNDS = 10_000, 200


class KeyInvalid(AppError):
    """An Idempotency-Key has 1 to 200 printable characters of ASCII."""

    code = "IDEMPOTENCY_KEY_INVALID"
    hint = "A random UUID is a good key."


class KeyReused(AppError):
    """This Idempotency-Key stands for something else."""

    code = "IDEMPOTENCY_KEY_REUSED"
    status = 422
    hint = "Take a new key for each thing you ask for, and the same one only to ask the same again."


class KeyInFlight(AppError):
    """Somebody asks with this Idempotency-Key at this moment."""

    code = "IDEMPOTENCY_IN_FLIGHT"
    status = 409
    hint = "Ask again in a moment: then the answer is what came of it."
    retry_after_s = 1


class OnceKey(models.Model):
    """One key of one owner, and what was asked with it; its own kinds say what came of it. Kept for a day."""

    #: The field of the id of what came of it; without a constraint, as that may be gone before the key.
    made: ClassVar[str]

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False, editable=False
    )
    key = models.CharField(max_length=MAX_KEY)
    #: Of what was asked.
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.key


def parameter(what: str) -> OpenApiParameter:
    """Return how the header is described, where it makes such a thing once."""
    told = f"Asked again with the same key and body within a day, the answer is the same {what}."
    return OpenApiParameter(HEADER, str, OpenApiParameter.HEADER, description=told)


def digest_of(what: str, asked: Any) -> str:
    """Return by what the same question is known again, however its JSON was written."""
    return hashlib.sha256(to_json([what, _ordered(asked)])).hexdigest()


def check_key(key: str) -> None:
    """See to it that this can be a key; one that is empty is a variable that nobody has set.

    Raises:
        KeyInvalid: it can not.
    """
    if not 0 < len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise KeyInvalid


def once(
    keys: type[OnceKey],
    key: str,
    digest: str,
    *,
    owner_id: int,
    find: Callable[[UUID], T | None],
    make: Callable[[UUID], T],
) -> tuple[T, bool]:
    """Return what `find` gives for the id that came of a key, and whether it was there before; else call `make` with the id it is to have.

    Key and thing are written together, in a transaction of their own, or not at all.

    Raises:
        KeyInvalid: this can not be a key.
        KeyReused: the key stands for something else that was asked.
        KeyInFlight: somebody asks with the same key at this moment.
    """
    check_key(key)
    made_id = uuid7()
    with transaction.atomic(durable=True):
        if not _keep(keys, key, digest, made_id, owner_id=owner_id):
            known = keys._base_manager.get(owner_id=owner_id, key=key)
            if known.digest != digest:
                raise KeyReused(f"The key {key!r} stands for something else.")
            if (thing := find(getattr(known, keys.made))) is not None:
                return thing, True
            # What came of it is not there any more.
            keys._base_manager.filter(pk=known.pk).update(**{keys.made: made_id}, created_at=now())
        return make(made_id), False


def forget_old(keys: type[OnceKey]) -> int:
    """Remove keys that are over. Return how many they were."""
    every = keys._base_manager
    removed = 0
    for _ in range(ROUNDS):
        old = every.filter(created_at__lt=now() - KEPT).order_by("created_at").values_list("pk", flat=True)[:AT_ONCE]
        gone, _ = every.filter(pk__in=list(old)).delete()
        removed += gone
        if gone < AT_ONCE:
            break
    return removed


def _keep(keys: type[OnceKey], key: str, digest: str, made_id: UUID, *, owner_id: int) -> bool:
    """Keep the key, locked until the end of the transaction. Return False if it is known already.

    Raises:
        KeyInFlight: somebody else has it locked.
    """
    moment = now()
    values = {"owner_id": owner_id, "key": key, "digest": digest, "made_id": made_id, "now": moment}
    with prepared.cursor() as cursor:
        cursor.execute(_statement(keys), values | {"over": moment - KEPT}, prepare=True)
        row = cursor.fetchone()
    if row is None or not row[0]:
        raise KeyInFlight
    return bool(row[1])


@cache
def _statement(keys: type[OnceKey]) -> bytes:
    text = prepared.read(Path(__file__).with_suffix(".sql"))
    return text.replace(b"KEYS_TABLE", keys._meta.db_table.encode()).replace(b"MADE_ID", keys.made.encode())


def _ordered(value: Any) -> Any:
    """Return a value with the keys of its dicts in one order."""
    if isinstance(value, Mapping):
        return [[str(key), _ordered(value[key])] for key in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        return [_ordered(one) for one in value]
    return value
