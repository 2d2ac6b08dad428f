"""What is kept encrypted: a column whose plaintext exists in memory only, under keys that can be replaced one after the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from agentplatform.lib.errors import AppError


class KeysMissing(AppError):
    """There is no key to keep secrets under."""

    code = "ENCRYPTION_KEYS_MISSING"
    status = 503
    hint = "Ask the operator to set AGENTPLATFORM_ENCRYPTION_KEYS."


class KeyLost(AppError):
    """A secret was encrypted with a key that is not there any more."""

    code = "ENCRYPTION_KEY_LOST"
    status = 503
    hint = "Put the old key back, at the end of AGENTPLATFORM_ENCRYPTION_KEYS, or enter the secret anew."


class Sealed:
    """A value that is shown by nothing: whoever needs it asks for it by name."""

    __slots__ = ("_text", "_value")

    def __init__(self, value: Any, *, text: str = "") -> None:
        self._value = value
        self._text = text

    @classmethod
    def stored(cls, text: str) -> Sealed:
        """Return a value as it is stored: it is decrypted when it is asked for, so a lost key concerns nobody else."""
        return cls(None, text=text)

    @property
    def text(self) -> str:
        """Return what is stored of it."""
        return self._text or encrypt(self._value)

    def reveal(self) -> Any:
        """Return the value itself.

        Raises:
            KeysMissing: there are no keys.
            KeyLost: none of the keys reads it.
        """
        return decrypt(self._text) if self._text else self._value

    def __repr__(self) -> str:
        return "Sealed(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(repr(self.reveal()))

    def __reduce__(self) -> Any:
        raise TypeError("What is sealed is not written anywhere.")


class SealedField(models.TextField):  # type: ignore[type-arg]
    """A column of encrypted JSON, which gives and takes `Sealed` values."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Sealed | None:
        return None if value is None else Sealed.stored(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        if not isinstance(value, Sealed):
            raise TypeError("Only what is sealed is stored here.")
        return value.text

    def value_to_string(self, obj: models.Model) -> str:
        # A dump of the database's rows is not where secrets go.
        return ""


def encrypt(value: Any) -> str:
    """Return a JSON value as text that only the keys of this installation read.

    Raises:
        KeysMissing: there are none.
    """
    return _keyring().encrypt(json.dumps(value).encode()).decode()


def decrypt(text: str) -> Any:
    """Return the value again.

    Raises:
        KeysMissing: there are no keys.
        KeyLost: none of the keys reads it.
    """
    try:
        return json.loads(_keyring().decrypt(text.encode()))
    except InvalidToken:
        raise KeyLost from None


def rotate(text: str) -> str:
    """Return the same value under the newest key.

    Raises:
        KeyLost: none of the keys reads it.
    """
    try:
        return _keyring().rotate(text.encode()).decode()
    except InvalidToken:
        raise KeyLost from None


def is_newest(text: str) -> bool:
    """Say whether a value is under the newest key already."""
    try:
        Fernet(_keys()[0]).decrypt(text.encode())
    except InvalidToken:
        return False
    return True


def are_keys_good() -> bool:
    """Say whether there are keys, each of them is one, and none stands there twice."""
    keys: Sequence[str] = settings.AGENTPLATFORM_ENCRYPTION_KEYS
    try:
        _made(tuple(keys))
    except ValueError:
        return False
    return len(set(keys)) == len(keys) > 0


def _keys() -> Sequence[str]:
    keys: Sequence[str] = settings.AGENTPLATFORM_ENCRYPTION_KEYS
    if not keys:
        raise KeysMissing
    return keys


def _keyring() -> MultiFernet:
    return _made(tuple(_keys()))


@lru_cache(maxsize=4)
def _made(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
