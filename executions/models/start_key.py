"""The keys that starts were asked with: who asks again with the same one gets the same execution."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from agentplatform.lib.once import OnceKey


class StartKey(OnceKey):
    """One key of one owner, what was asked with it, and the execution that came of it."""

    made: ClassVar = "execution_id"
    #: No constraint, as months of executions are dropped.
    execution_id = models.UUIDField()

    class Meta:
        db_table = "executions_startkey"
        constraints = [
            models.UniqueConstraint(fields=["owner", "key"], name="a_key_starts_one_execution"),
            models.UniqueConstraint(fields=["execution_id"], name="an_execution_has_one_start_key"),
        ]
        indexes = [models.Index(fields=["created_at"], name="start_keys_by_time")]
