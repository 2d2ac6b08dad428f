"""What is kept for a time only: deliveries, whose ids may come again after it, fires of schedules, and files nobody knows."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.conf import settings

from agentplatform.lib.clock import now
from agentplatform.lib.ids import first_id_at
from executions import statements
from files import storing

#: Of one statement, so that none holds others up; what is left, the next round removes.
AT_ONCE, ROUNDS = 500, 200


def prune_deliveries() -> int:
    """Remove deliveries that are older than they are kept. Return how many."""
    return _prune("prune_deliveries", settings.AGENTPLATFORM_KEEP_DELIVERIES_DAYS)


def prune_outgoing() -> int:
    """Remove what went out to subscriptions, or could not, and is older than deliveries are kept. Return how many."""
    return _prune("prune_outgoing", settings.AGENTPLATFORM_KEEP_DELIVERIES_DAYS)


def prune_fires() -> int:
    """Remove what became of times that are older than that is kept. Return how many."""
    return _prune("prune_fires", settings.AGENTPLATFORM_KEEP_FIRES_DAYS)


def prune_files() -> int:
    """Remove what attempts wrote that did not succeed, once their executions have ended, and what is older than it is kept.

    What somebody uses who has not ended stays. Return how many files were removed.
    """
    days = settings.AGENTPLATFORM_KEEP_WRITTEN_FILES_DAYS
    before = first_id_at(now() - timedelta(days=days)) if days else UUID(int=0)

    def find(limit: int) -> list[UUID]:
        with statements.cursor() as cursor:
            statements.run(cursor, "prune_files", before=before, limit=limit)
            return [file_id for (file_id,) in cursor]

    return storing.remove(find)


def _prune(statement: str, days: int) -> int:
    before = first_id_at(now() - timedelta(days=days))
    removed = 0
    for _ in range(ROUNDS):
        with statements.cursor() as cursor:
            statements.run(cursor, statement, before=before, limit=AT_ONCE)
            count = cursor.rowcount
        removed += count
        if count == 0:
            break
    return removed
