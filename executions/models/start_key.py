"""The keys that starts were asked with: who asks again with the same one gets the same execution."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from agentplatform.lib.clock import now


class StartKey(models.Model):
    """One key of one owner, what was asked with it, and the execution that came of it. Kept for a day."""

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False, editable=False
    )
    key = models.CharField(max_length=200)
    #: Of what was asked.
    digest = models.CharField(max_length=64)
    #: No constraint, as months of executions are dropped.
    execution_id = models.UUIDField()
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        db_table = "executions_startkey"
        constraints = [
            models.UniqueConstraint(fields=["owner", "key"], name="a_key_starts_one_execution"),
            models.UniqueConstraint(fields=["execution_id"], name="an_execution_has_one_start_key"),
        ]
        indexes = [models.Index(fields=["created_at"], name="start_keys_by_time")]

    def __str__(self) -> str:
        return self.key
