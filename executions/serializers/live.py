"""Live events, as the API tells them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from executions.engine.live import LiveKind
from executions.engine.waits import WaitKind, WaitStatus

MOST_NUMBER = 2**31 - 1
LONGEST_WAIT_S = 60


class AskEventsSerializer(serializers.Serializer[Any]):
    """From where on, and how."""

    after = serializers.IntegerField(
        default=0, min_value=0, max_value=MOST_NUMBER, help_text="The `id` of the last event you have."
    )
    wait = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=LONGEST_WAIT_S,
        help_text="Do not stream: answer as soon as there are events, or after so many seconds without any.",
    )


class LiveErrorSerializer(serializers.Serializer[Any]):
    """What an execution, a firing or an attempt has failed of."""

    code = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField(required=False, help_text="Not of an attempt that another one follows.")
    node = serializers.CharField(required=False, help_text="Of an execution: the node to blame, if one is.")


class LiveEventSerializer(serializers.Serializer[Any]):
    """One event of one execution. Which fields there are besides the first three goes by its type."""

    id = serializers.IntegerField(help_text="1, 2, 3 and so on, without a gap.")
    type = serializers.ChoiceField(choices=[(kind.value, kind.value) for kind in LiveKind])
    at = serializers.DateTimeField()
    node = serializers.CharField(
        required=False, help_text="The key of the node; not there where it is of the execution itself."
    )
    path = serializers.ListField(child=serializers.IntegerField(), required=False, help_text="Of which item.")
    attempt = serializers.IntegerField(required=False)
    outputs = serializers.DictField(required=False, help_text="Of what has ended, unless they are too large.")
    left_out = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="What was too large to be told: read it where it is stored.",
    )
    error = LiveErrorSerializer(required=False, allow_null=True)
    usage = serializers.DictField(required=False)
    input_tokens = serializers.IntegerField(required=False)
    output_tokens = serializers.IntegerField(required=False)
    cost_microcredits = serializers.IntegerField(required=False)
    missing_pins = serializers.ListField(child=serializers.CharField(), required=False)
    reused_from = serializers.UUIDField(required=False, help_text="The execution whose firing stands here.")
    wait = serializers.UUIDField(required=False, help_text="What a firing is suspended for.")
    title = serializers.CharField(required=False)
    event = serializers.CharField(required=False)
    due_at = serializers.DateTimeField(required=False, allow_null=True)
    child = serializers.UUIDField(required=False, allow_null=True, help_text="The sub-graph's execution.")
    outcome = serializers.ChoiceField(required=False, choices=[(one.value, one.value) for one in WaitStatus])

    def get_fields(self) -> dict[str, Any]:
        """Add the one whose name Python keeps for itself."""
        kinds = serializers.ChoiceField(required=False, choices=[(kind.value, kind.value) for kind in WaitKind])
        return super().get_fields() | {"for": kinds}


class LivePageSerializer(serializers.Serializer[Any]):
    """The answer to a long poll."""

    events = LiveEventSerializer(many=True)
    last_id = serializers.IntegerField(help_text="What to give as `after` next time.")
    is_over = serializers.BooleanField(help_text="The execution has ended, and this is the last of it.")
