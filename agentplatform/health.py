"""Whether a web process is well: what probes and people who look after an installation ask."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from threading import Lock
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from kombu.exceptions import KombuError

from agentplatform import __version__

logger = logging.getLogger(__name__)

ANSWER_WITHIN_S = 0.5
#: Probes of many kinds may ask; the broker and the workers are asked this often at most.
ASK_EVERY_S = 5.0
#: A busy worker may answer late, so that one silence says nothing.
SILENT_AFTER_S = 60.0

OK, UNREACHABLE, SILENT, UNAPPLIED = "ok", "unreachable", "not heard from", "not applied"


def alive(request: HttpRequest) -> JsonResponse:
    """Answer that the process serves requests; asks nobody else, so that a database outage restarts no web process."""
    return JsonResponse({"status": OK, "version": __version__})


def ready(request: HttpRequest) -> JsonResponse:
    """Answer whether requests can be served now: Postgres answers and has the tables of this release.

    Without a broker or a worker starts are still accepted, and kept: that is told, and takes no web process away.
    """
    database = _database()
    migrations = _migrations() if database == OK else UNREACHABLE
    broker, worker = BROKER.look()
    told = {"database": database, "migrations": migrations, "broker": broker, "worker": worker, "version": __version__}
    if database != OK or migrations != OK:
        return JsonResponse({"status": "unavailable", **told}, status=503)
    return JsonResponse({"status": OK if broker == worker == OK else "degraded", **told})


@dataclass
class Broker:
    """What was last heard of the broker, and of the workers behind it."""

    asked_at: float = float("-inf")
    heard_at: float = float("-inf")
    is_there: bool = False

    def __post_init__(self) -> None:
        self._lock = Lock()

    def look(self) -> tuple[str, str]:
        """Return how the broker and the workers are; asks them if that was some seconds ago."""
        with self._lock:
            if time.monotonic() - self.asked_at > ASK_EVERY_S:
                self._ask()
                self.asked_at = time.monotonic()
            is_heard = time.monotonic() - self.heard_at < SILENT_AFTER_S
            return OK if self.is_there else UNREACHABLE, OK if is_heard else SILENT

    def _ask(self) -> None:
        with current_app.connection_for_write(connect_timeout=ANSWER_WITHIN_S, transport_options=_in_time()) as broker:
            foreseen: tuple[type[BaseException], ...] = (
                *broker.connection_errors,
                *broker.channel_errors,
                KombuError,
                OSError,
            )
            try:
                broker.ensure_connection(max_retries=1, interval_start=0)
                self.is_there = True
                if current_app.control.ping(timeout=ANSWER_WITHIN_S, limit=1, connection=broker):
                    self.heard_at = time.monotonic()
            except foreseen as error:
                logger.warning("The broker does not answer: %s", error)
                self.is_there = False


def _in_time() -> dict[str, Any]:
    """Return what keeps a broker that takes connections and says nothing from keeping the probe."""
    is_redis = "socket_connect_timeout" in settings.CELERY_BROKER_TRANSPORT_OPTIONS
    return {"socket_connect_timeout": ANSWER_WITHIN_S, "socket_timeout": 2 * ANSWER_WITHIN_S} if is_redis else {}


@dataclass
class Migrations:
    """What was last seen of the migrations."""

    are_applied: bool = False


BROKER = Broker()
MIGRATIONS = Migrations()


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (OperationalError, InterfaceError):
        return UNREACHABLE
    return OK


def _migrations() -> str:
    """Say whether all are applied. What was applied once stays so, and to look costs a while."""
    if not MIGRATIONS.are_applied:
        executor = MigrationExecutor(connection)
        MIGRATIONS.are_applied = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return OK if MIGRATIONS.are_applied else UNAPPLIED
