"""What is asked of many executions at once, and what came of each."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agentplatform.lib.asking import AskSerializer
from executions.bulk import MOST, USUAL
from executions.engine.status import Status
from executions.serializers.executions import NodeErrorSerializer
from executions.serializers.webhooks import StrictBooleanField


class BulkSerializer(AskSerializer[Any]):
    """How to go about it."""

    preview = StrictBooleanField(default=False, help_text="Only say how many there are.")
    limit = serializers.IntegerField(
        default=USUAL, min_value=1, max_value=MOST, help_text="With so many at the most, the oldest first."
    )


class DoneSerializer(serializers.Serializer[Any]):
    """What came of one."""

    execution = serializers.UUIDField(source="execution_id")
    status = serializers.ChoiceField(
        source="execution.status",
        choices=[status.value for status in Status],
        allow_null=True,
        default=None,
        help_text="As it stands; of a retry, the new one. Null if it could not be done.",
    )
    started = serializers.SerializerMethodField(help_text="The execution that goes on from it, of a retry.")
    error = NodeErrorSerializer(allow_null=True, help_text="Why it could not be done.")

    def get_started(self, done: Any) -> str | None:
        """Return the id of what was started."""
        return str(done.execution.pk) if done.execution and done.execution.pk != done.execution_id else None


class BulkDoneSerializer(serializers.Serializer[Any]):
    """What came of all of them."""

    matching = serializers.IntegerField(
        help_text=f"How many there were with which it can be done; {MOST + 1} stands for more than {MOST}."
    )
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    is_preview = serializers.BooleanField()
    results = DoneSerializer(many=True)
