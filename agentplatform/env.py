"""Typed values from the environment: a wrong one stops the start with its name, not somebody later by surprise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


class WrongSetting(ImproperlyConfigured):
    """An environment variable holds a value that can not be used."""

    def __init__(self, name: str, expected: str, given: str) -> None:
        super().__init__(f"{name} must be {expected}, not {given!r}.")
        self.name = name


def env_str(name: str, default: str = "") -> str:
    """Return the variable as it is, without surrounding blanks."""
    return os.environ.get(name, default).strip()


def env_choice(name: str, choices: tuple[str, ...], default: str) -> str:
    """Return the variable if it is one of `choices`.

    Raises:
        WrongSetting: it is none.
    """
    value = env_str(name, default)
    if value not in choices:
        raise WrongSetting(name, f"one of {', '.join(choices)}", value)
    return value


def env_bool(name: str, default: bool = False) -> bool:
    """Return the variable as a truth value: 1/true/yes/on or 0/false/no/off.

    Raises:
        WrongSetting: it is none.
    """
    value = os.environ.get(name)
    if value is None:
        return default
    if value.strip().lower() not in TRUE | FALSE:
        raise WrongSetting(name, "true or false", value)
    return value.strip().lower() in TRUE


def env_int(name: str, default: int, *, minimum: int = 0) -> int:
    """Return the variable as a whole number of at least `minimum`.

    Raises:
        WrongSetting: it is none.
    """
    return int(_number(name, default, int, minimum))


def env_int_or_none(name: str, *, minimum: int = 0) -> int | None:
    """Return the variable as a whole number of at least `minimum`, or None where it is missing or empty.

    Raises:
        WrongSetting: it is none.
    """
    return env_int(name, minimum, minimum=minimum) if env_str(name) else None


def env_float(name: str, default: float, *, minimum: float = 0.0) -> float:
    """Return the variable as a number of at least `minimum`.

    Raises:
        WrongSetting: it is none.
    """
    return float(_number(name, default, float, minimum))


def env_list(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """Return the comma-separated variable as a list, without blanks and empty entries."""
    value = os.environ.get(name)
    if value is None:
        return list(default)
    return [entry.strip() for entry in value.split(",") if entry.strip()]


def env_secret(name: str, default: str = "") -> str:
    """Return the variable, or the content of the file that `<name>_FILE` points at (Docker and Kubernetes secrets).

    Raises:
        WrongSetting: that file can not be read, or both are given.
    """
    path = os.environ.get(f"{name}_FILE")
    if path is None:
        return env_str(name, default)
    if name in os.environ:
        raise WrongSetting(f"{name}_FILE", f"left out where {name} is set", path)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise WrongSetting(f"{name}_FILE", f"a readable file ({error.strerror})", path) from error


def env_database(name: str) -> dict[str, Any]:
    """Return Django's form of a PostgreSQL URL, or nothing where the variable is missing.

    `?host=/folder` reaches a server over its unix socket, as libpq does; other parameters go to psycopg as they are.

    Raises:
        WrongSetting: it is no such URL.
    """
    url = env_secret(name)
    if not url:
        return {}
    parts = urlsplit(url)
    # The URL may hold a password: the error shows the scheme only.
    if parts.scheme not in {"postgres", "postgresql"}:
        raise WrongSetting(name, "a postgresql:// URL", f"{parts.scheme}://…")
    options = dict(parse_qsl(parts.query))
    host = options.pop("host", None) or unquote(parts.hostname or "")
    try:
        port = options.pop("port", None) or parts.port or ""
    except ValueError as error:
        raise WrongSetting(name, "a URL with a numeric port", f"{parts.scheme}://…") from error
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(port),
        "OPTIONS": options,
    }


def _number(name: str, default: float, kind: type[int] | type[float], minimum: float) -> float:
    value = os.environ.get(name)
    if value is None:
        return default
    expected = f"a {'whole ' if kind is int else ''}number of at least {minimum:g}"
    try:
        number = kind(value)
    except ValueError as error:
        raise WrongSetting(name, expected, value) from error
    # `not >=` instead of `<`, so that NaN is refused too.
    if not number >= minimum or number == float("inf"):
        raise WrongSetting(name, expected, value)
    return number
