"""System checks: what would be unsafe in production, or can not work anywhere, refuses to start."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from agentplatform.lib import crypto
from executions import failpoints

MIN_SECRET_KEY_LENGTH, MIN_DIFFERENT_CHARACTERS = 50, 10
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
TAG = "agentplatform"


def refuse_unsafe_start() -> None:
    """Print every error of ours and leave with status 1. For what Django does not check: ASGI, WSGI, workers.

    Raises:
        SystemExit: there is one.
    """
    errors = [problem for problem in checks.run_checks(tags=[TAG]) if problem.is_serious()]
    if errors:
        print("agentplatform does not start:", *errors, sep="\n", file=sys.stderr)  # noqa: T201 - before any log exists
        raise SystemExit(1)


@checks.register(TAG)
def check_production(**_: Any) -> list[checks.CheckMessage]:
    """Refuse what must never be so in production."""
    if settings.IS_DEVELOPMENT:
        return []
    return [
        checks.Error(message, hint=hint, id=f"{TAG}.E{number:03}")
        for number, (is_wrong, message, hint) in enumerate(_production_rules(), start=1)
        if is_wrong
    ]


@checks.register(TAG)
def check_engine(**_: Any) -> list[checks.CheckMessage]:
    """Refuse timings under which a healthy worker would lose its leases."""
    if settings.AGENTPLATFORM_HEARTBEAT_S * 2 < settings.AGENTPLATFORM_LEASE_S:
        return []
    return [
        checks.Error(
            "AGENTPLATFORM_HEARTBEAT_S must be less than half of AGENTPLATFORM_LEASE_S.",
            hint="One late heartbeat must not cost a worker its leases. The defaults are 1.5 and 6.",
            id=f"{TAG}.E050",
        )
    ]


@checks.register(TAG)
def check_messages_outlive_tasks(**_: Any) -> list[checks.CheckMessage]:
    """Refuse a time limit above the broker's redelivery: every longer task would be started again while it runs."""
    redelivered_after_s = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("visibility_timeout")
    if redelivered_after_s is None or redelivered_after_s > settings.AGENTPLATFORM_BLOCK_TIMEOUT_S:
        return []
    return [
        checks.Error(
            f"AGENTPLATFORM_BLOCK_TIMEOUT_S must be below {redelivered_after_s} s, after which the broker redelivers.",
            hint="Split the work of such a block, or let it suspend.",
            id=f"{TAG}.E051",
        )
    ]


def _production_rules() -> list[tuple[bool, str, str]]:
    hosts = settings.ALLOWED_HOSTS
    generate = "python -c 'import secrets; print(secrets.token_urlsafe(64))'"
    return [
        (
            len(_secret_key()) < MIN_SECRET_KEY_LENGTH,
            f"AGENTPLATFORM_SECRET_KEY is missing or shorter than {MIN_SECRET_KEY_LENGTH} characters.",
            f"Generate one: {generate}",
        ),
        (settings.DEBUG, "AGENTPLATFORM_DEBUG is on.", "It shows source and settings to anybody: turn it off."),
        (not hosts, "AGENTPLATFORM_ALLOWED_HOSTS is empty.", "List the names this server answers to, comma-separated."),
        ("*" in hosts, "AGENTPLATFORM_ALLOWED_HOSTS allows every name.", "List the names this server answers to."),
        (
            not settings.DATABASES["default"].get("NAME"),
            "DATABASE_URL is missing or names no database.",
            "postgresql://user:password@host/database",
        ),
        (not settings.REDIS_URL, "REDIS_URL is missing.", "redis://:password@host:6379/0"),
        (
            not settings.AGENTPLATFORM_ENCRYPTION_KEYS,
            "AGENTPLATFORM_ENCRYPTION_KEYS is missing: credentials could not be stored.",
            "A Fernet key: python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'",
        ),
        (
            bool(settings.AGENTPLATFORM_ENCRYPTION_KEYS) and not crypto.are_keys_good(),
            "AGENTPLATFORM_ENCRYPTION_KEYS holds something that is no key, or one of them twice.",
            "Each is 32 random bytes in URL-safe Base64; a comma stands between two.",
        ),
        (
            not settings.SESSION_COOKIE_SECURE and any(host.strip("[]") not in LOCAL for host in hosts),
            "AGENTPLATFORM_HTTPS is off while other names than localhost are served.",
            "Passwords and tokens would cross the network in the open: end TLS in front of the web process.",
        ),
        (
            failpoints.is_armed(),
            "AGENTPLATFORM_FAILPOINT is set.",
            "It kills processes on purpose: it is for tests of recovery, in development only.",
        ),
        (
            len(_secret_key()) >= MIN_SECRET_KEY_LENGTH and _is_guessable(_secret_key()),
            "AGENTPLATFORM_SECRET_KEY can be guessed.",
            f"Generate one: {generate}",
        ),
        *(
            (
                _is_open_to_all(getattr(settings, name)),
                f"{name} names another machine without a password, or with the one that everybody knows.",
                "Whoever reaches it could read and forge messages: set one there (requirepass, or a user of RabbitMQ) and here.",
            )
            for name in ("REDIS_URL", "BROKER_URL")
        ),
        (
            any(urlsplit(origin).hostname in {None, "*"} for origin in settings.CSRF_TRUSTED_ORIGINS)
            or any(
                urlsplit(origin).scheme != "https" for origin in settings.CSRF_TRUSTED_ORIGINS if not _is_local(origin)
            ),
            "AGENTPLATFORM_CSRF_TRUSTED_ORIGINS trusts everybody, or a site without TLS.",
            "List the addresses under which people reach the console, as https://agents.example.org.",
        ),
    ]


def _is_guessable(key: str) -> bool:
    return len(set(key)) < MIN_DIFFERENT_CHARACTERS or key.startswith("django-insecure-")


def _is_open_to_all(url: str) -> bool:
    parts = urlsplit(url)
    known = {None, ""} | ({"guest"} if parts.scheme.startswith("amqp") else set())
    if "ssl_certfile=" in parts.query:
        return False  # it is known by its certificate
    return bool(parts.hostname) and not _is_local(url) and parts.password in known


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in LOCAL


def _secret_key() -> str:
    try:
        return settings.SECRET_KEY
    except ImproperlyConfigured:  # Django's own answer to an empty one; ours comes with all other problems at once
        return ""
