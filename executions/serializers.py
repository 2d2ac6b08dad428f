"""Executions and node executions as the API shows them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from agentplatform.lib.money import show
from executions.models import Execution, NodeExecution


class StartSerializer(serializers.Serializer[Any]):
    """What to execute: the latest published version of a graph, or one version; and what to give it."""

    graph = serializers.UUIDField(required=False, help_text="Its latest published version is executed.")
    version = serializers.UUIDField(required=False, help_text="This published version is executed.")
    inputs = serializers.DictField(
        child=serializers.JSONField(allow_null=True), required=False, help_text="The graph's inputs by name."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a request that names both or neither."""
        if ("graph" in attrs) == ("version" in attrs):
            raise ValidationError("Give either `graph` or `version`.", code="graph_or_version")
        return attrs


class CostSerializer(serializers.Serializer[Any]):
    """An amount of money, for programs and for people."""

    microcredits = serializers.IntegerField(help_text="Millionths of a US dollar.")
    text = serializers.CharField(help_text="As a person reads it, such as `$0.0012`.")


class NodeErrorSerializer(serializers.Serializer[Any]):
    """Why a node failed."""

    code = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField()


class ExecutionErrorSerializer(NodeErrorSerializer):
    """Why an execution failed, and the node that did."""

    node = serializers.CharField(help_text="The key of the node; empty if no node is to blame.")


@extend_schema_field(CostSerializer)
class CostField(serializers.Field[Any, Any, dict[str, Any], Any]):
    """Micro-credits with their text."""

    def to_representation(self, value: int) -> dict[str, Any]:
        return {"microcredits": value, "text": show(value)}


class ExecutionSerializer(serializers.ModelSerializer[Execution]):
    """An execution in a list: whose, how far, and what it cost."""

    graph_name = serializers.CharField(source="graph.name", read_only=True)
    version_number = serializers.IntegerField(source="version.number", read_only=True)
    cost = CostField(source="cost_microcredits", read_only=True)
    error = serializers.SerializerMethodField()

    class Meta:
        model = Execution
        fields = [
            "id",
            "graph",
            "graph_name",
            "version",
            "version_number",
            "status",
            "error",
            "input_tokens",
            "output_tokens",
            "cost",
            "created_at",
            "started_at",
            "ended_at",
        ]
        read_only_fields = fields

    @extend_schema_field(ExecutionErrorSerializer(allow_null=True))
    def get_error(self, execution: Execution) -> dict[str, str] | None:
        """Return what ended it, or null."""
        error = _error(execution)
        return error and error | {"node": execution.error_node}


class ExecutionDetailSerializer(ExecutionSerializer):
    """An execution with what went in and what came out."""

    class Meta(ExecutionSerializer.Meta):
        fields = [*ExecutionSerializer.Meta.fields, "inputs", "outputs"]
        read_only_fields = fields


class NodeExecutionSerializer(serializers.ModelSerializer[NodeExecution]):
    """One firing of one node."""

    node = serializers.CharField(source="node_key", read_only=True, help_text="The key of the node.")
    item = serializers.CharField(
        source="shown_path", read_only=True, help_text="The item path as people count: `#1.2`."
    )
    cost = CostField(source="cost_microcredits", read_only=True)
    error = serializers.SerializerMethodField()

    class Meta:
        model = NodeExecution
        fields = [
            "id",
            "node",
            "item",
            "item_path",
            "status",
            "attempt",
            "error",
            "missing_pins",
            "inputs",
            "outputs",
            "usage",
            "cost",
            "queued_at",
            "started_at",
            "ended_at",
        ]
        read_only_fields = fields

    @extend_schema_field(NodeErrorSerializer(allow_null=True))
    def get_error(self, firing: NodeExecution) -> dict[str, str] | None:
        """Return why it failed, or null."""
        return _error(firing)


def _error(row: Execution | NodeExecution) -> dict[str, str] | None:
    if not row.error_code:
        return None
    return {"code": row.error_code, "message": row.error_message, "hint": row.error_hint}
