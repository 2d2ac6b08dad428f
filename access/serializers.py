"""Keys as the API shows them: everything but the key itself."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from access.models import ApiKey
from access.scopes import Scope
from agentplatform.lib.asking import AskSerializer, IdField, TextField


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key of yours."""

    graph = serializers.UUIDField(source="graph_id", read_only=True, allow_null=True)

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "name",
            "prefix",
            "scopes",
            "graph",
            "networks",
            "expires_at",
            "revoked_at",
            "last_used_at",
            "old_until",
            "created_at",
        ]
        read_only_fields = fields


class NewApiKeySerializer(ApiKeySerializer):
    """A key that was just made, with its text: shown this once."""

    key = serializers.SerializerMethodField(help_text="The key itself. Nobody can show it again.")

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]
        read_only_fields = fields

    def get_key(self, _: ApiKey) -> str:
        """Return the text."""
        return str(self.context["text"])


class MeSerializer(serializers.Serializer[Any]):
    """Who asks."""

    id = serializers.IntegerField(source="user.pk")
    username = serializers.CharField(source="user.username")
    key = ApiKeySerializer(allow_null=True, help_text="The key that asks; null for somebody who is logged in.")


class AskApiKeySerializer(AskSerializer[Any]):
    """What a key is to open."""

    shown = frozenset(ApiKeySerializer.Meta.fields)

    name = TextField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=[scope.value for scope in Scope]), allow_empty=False
    )
    graph = IdField(
        required=False, allow_null=True, default=None, help_text="It opens this graph of yours and its executions only."
    )
    networks = serializers.ListField(
        child=TextField(max_length=50),
        required=False,
        default=list,
        max_length=50,
        help_text="From where it may be used, as `203.0.113.0/24`; none: from anywhere.",
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
