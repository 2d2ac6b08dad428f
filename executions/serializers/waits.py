"""What executions wait for, and what people answer, as the API shows and takes it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agentplatform.lib.asking import AskSerializer, TextField
from executions.models import Wait
from executions.serializers.webhooks import StrictBooleanField
from executions.waits import MAX_COMMENT, MAX_EVENT, UNCHANGED, Reply


class WaitSerializer(serializers.ModelSerializer[Wait]):
    """What a firing waits for, or has waited for."""

    execution = serializers.UUIDField(source="execution_id", read_only=True)
    node = serializers.CharField(source="node_key", read_only=True, help_text="The key of the node.")
    item = serializers.CharField(source="shown_path", read_only=True, help_text="The item as people count: `#1.2`.")
    users = serializers.ListField(
        source="user_names",
        child=serializers.CharField(),
        read_only=True,
        help_text="Who may answer. If nobody and no group is named: the owner.",
    )
    groups = serializers.ListField(
        source="group_names", child=serializers.CharField(), read_only=True, help_text="Whose members may answer."
    )
    owner = serializers.CharField(source="owner.username", read_only=True)
    since = serializers.DateTimeField(source="created_at", read_only=True)
    on_timeout = serializers.CharField(
        source="timeout_action", read_only=True, help_text="What no answer until `due_at` means."
    )
    answered_by = serializers.CharField(source="answered_by.username", default=None, read_only=True)
    child = serializers.UUIDField(
        source="child_id", read_only=True, allow_null=True, help_text="The execution that is waited for."
    )

    class Meta:
        model = Wait
        fields = [
            "id",
            "kind",
            "status",
            "title",
            "execution",
            "node",
            "item",
            "item_path",
            "event",
            "child",
            "owner",
            "users",
            "groups",
            "since",
            "due_at",
            "on_timeout",
            "answered_by",
            "answered_at",
            "comment",
        ]
        read_only_fields = fields


class WaitDetailSerializer(WaitSerializer):
    """The same with what is shown, what is asked for, and what was answered."""

    form = serializers.JSONField(read_only=True, help_text="The JSON schema of the answer; empty if there is no form.")
    # Declared fields are taken out of the class, so its property of this name stays what it is.
    data = serializers.JSONField(  # type: ignore[assignment]
        read_only=True, help_text="What is shown. Of an event: what it must contain."
    )
    editable = serializers.BooleanField(
        source="is_editable", read_only=True, help_text="Whether who approves may change the data."
    )
    answer = serializers.JSONField(
        read_only=True, allow_null=True, help_text="What came, with the data as it was left."
    )

    class Meta(WaitSerializer.Meta):
        fields = [*WaitSerializer.Meta.fields, "form", "data", "editable", "answer"]
        read_only_fields = fields


class ReplySerializer(AskSerializer[Reply]):
    """An answer."""

    approved = StrictBooleanField(required=False, help_text="Yes or no. Only for approvals.")
    answer = serializers.JSONField(
        required=False, allow_null=True, help_text="What the form asks for. Who rejects may leave it out."
    )
    data = serializers.JSONField(  # type: ignore[assignment]
        required=False, allow_null=True, help_text="The data as it shall go on, where it may be changed."
    )
    comment = TextField(required=False, allow_blank=True, max_length=MAX_COMMENT)

    def create(self, validated_data: dict[str, Any]) -> Reply:
        """Return what is answered."""
        return Reply(
            approved=validated_data.get("approved"),
            answer=validated_data.get("answer"),
            data=validated_data.get("data", UNCHANGED),
            comment=validated_data.get("comment", ""),
        )


class EventSerializer(AskSerializer[Any]):
    """Something that has happened."""

    name = TextField(max_length=MAX_EVENT)
    payload = serializers.JSONField(required=False, allow_null=True, default=None)


class EventSentSerializer(serializers.Serializer[Any]):
    """Who was told."""

    firings = serializers.IntegerField(help_text="How many firings waited for it and go on now.")
