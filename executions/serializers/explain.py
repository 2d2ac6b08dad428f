"""What would run, as the API shows it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from blocks.sdk import Placement
from executions.explaining import KINDS


class NodeExplainedSerializer(serializers.Serializer[Any]):
    """A node, and how its block is run."""

    key = serializers.CharField()
    block_id = serializers.CharField()
    placement = serializers.ChoiceField(
        choices=[placement.value for placement in Placement],
        help_text="`inline` only computes, `io` waits on the event loop, `cpu` has a process of its own.",
    )
    segment = serializers.IntegerField()
    after = serializers.ListField(child=serializers.CharField(), help_text="The nodes that it waits for.")


class SegmentExplainedSerializer(serializers.Serializer[Any]):
    """Nodes that one task runs together."""

    index = serializers.IntegerField()
    nodes = serializers.ListField(child=serializers.CharField())
    queue = serializers.CharField()
    after = serializers.ListField(child=serializers.IntegerField(), help_text="The segments that it waits for.")


class NeedExplainedSerializer(serializers.Serializer[Any]):
    """A credential that a node asks for."""

    node = serializers.CharField()
    provider = serializers.CharField()
    credential_id = serializers.UUIDField(allow_null=True, help_text="The one it names; else any for the provider.")


class TaskExplainedSerializer(serializers.Serializer[Any]):
    """A task, and the segments that it runs side by side."""

    queue = serializers.CharField()
    segments = serializers.ListField(child=serializers.IntegerField())


class CanvasExplainedSerializer(serializers.Serializer[Any]):
    """What is sent at once."""

    kind = serializers.ChoiceField(
        choices=list(KINDS),
        help_text="A single task; a `chain` of tasks that follow each other; a `chord` of tasks that meet in `body`.",
    )
    tasks = TaskExplainedSerializer(many=True)
    body = TaskExplainedSerializer(allow_null=True)


class ExplainedSerializer(serializers.Serializer[Any]):
    """What an execution would run."""

    version = serializers.IntegerField(allow_null=True, help_text="Null for a draft, as if it were published.")
    nodes = NodeExplainedSerializer(many=True)
    segments = SegmentExplainedSerializer(many=True)
    credentials = NeedExplainedSerializer(many=True)
    waves = serializers.ListField(
        child=CanvasExplainedSerializer(many=True), help_text="Each is sent once all that was sent before has ended."
    )
