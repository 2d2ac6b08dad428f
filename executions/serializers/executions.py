"""Executions and node executions as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from agentplatform.lib.asking import AskSerializer, IdField, TextField
from agentplatform.lib.money import show
from blocks.sdk import Effects
from executions import admission
from executions.engine.money import MOST_MICROCREDITS
from executions.engine.status import Status
from executions.models import Execution, NodeExecution, Wait
from executions.retrying import Ask, Mode, Version
from executions.serializers.schedules import StartedBySerializer
from executions.serializers.waits import WaitSerializer
from executions.triggers import started_by

WAITS_SHOWN = 20


class StartSerializer(AskSerializer[Any]):
    """What to execute: the latest published version of a graph, or one version; and what to give it."""

    graph = IdField(required=False, help_text="Its latest published version is executed.")
    version = IdField(required=False, help_text="This published version is executed.")
    inputs = serializers.DictField(
        child=serializers.JSONField(allow_null=True), required=False, help_text="The graph's inputs by name."
    )
    priority = serializers.IntegerField(
        min_value=admission.LOWEST_PRIORITY,
        max_value=admission.HIGHEST_PRIORITY,
        default=0,
        help_text="Higher goes first among your own that stand in line.",
    )
    budget_microcredits = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_MICROCREDITS,
        help_text="What it may cost at the most, with all that it starts: millionths of a US dollar.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a request that names both or neither."""
        if ("graph" in attrs) == ("version" in attrs):
            raise ValidationError("Give either `graph` or `version`.", code="graph_or_version")
        return attrs


class RetrySerializer(AskSerializer[Ask]):
    """How to go on from an ended execution."""

    mode = serializers.ChoiceField(
        choices=[mode.value for mode in Mode],
        default=Mode.FAILED.value,
        help_text="`failed`: what failed or never ran. `from_node`: one node and what follows. `inputs`: what other inputs change.",
    )
    node = TextField(required=False, max_length=64, help_text="The key of a node, for `from_node`.")
    inputs = serializers.DictField(
        child=serializers.JSONField(allow_null=True),
        required=False,
        help_text="All of the graph's inputs, for `inputs`.",
    )
    version = serializers.ChoiceField(
        choices=[version.value for version in Version],
        default=Version.SAME.value,
        help_text="`same`, or the `newest` published version of the graph.",
    )

    def create(self, validated_data: dict[str, Any]) -> Ask:
        """Return what is asked for."""
        return Ask(
            mode=Mode(validated_data["mode"]),
            node=validated_data.get("node"),
            inputs=validated_data.get("inputs"),
            version=Version(validated_data["version"]),
        )


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


class RetryNodeSerializer(serializers.Serializer[Any]):
    """A node that runs again, or may."""

    node = serializers.CharField(source="key", help_text="The key of the node.")
    firings = serializers.IntegerField(help_text="Known to run; more may follow from how they end.")
    effects = serializers.ChoiceField(choices=[effects.value for effects in Effects])
    estimated_cost = CostField(source="estimated_microcredits")
    estimated_cost_p95 = CostField(source="estimated_p95_microcredits")


class RetryPreviewSerializer(serializers.Serializer[Any]):
    """What a retry would do."""

    version = serializers.UUIDField(source="version_id")
    reused = serializers.DictField(
        child=serializers.IntegerField(), help_text="By node, how many of its firings stand."
    )
    runs = RetryNodeSerializer(many=True)
    nodes_with_effects = serializers.ListField(
        source="effects", child=serializers.CharField(), help_text="They act on the outside world again."
    )
    estimated_cost = CostField(source="estimated_microcredits", help_text="Going by what these nodes cost before.")
    estimated_cost_p95 = CostField(
        source="estimated_p95_microcredits", help_text="What nineteen of twenty firings cost at the most."
    )


class ExecutionListSerializer(serializers.ListSerializer[Execution]):
    """Executions of a page, whose positions are asked for together."""

    def to_representation(self, data: Any) -> list[Any]:
        executions = list(data)
        cast(ExecutionSerializer, self.child).positions = admission.positions(executions)
        return super().to_representation(executions)


class ExecutionSerializer(serializers.ModelSerializer[Execution]):
    """An execution in a list: whose, how far, and what it cost."""

    #: Of the executions that are shown together, if they are.
    positions: Mapping[UUID, int] | None = None

    graph_name = serializers.CharField(source="graph.name", read_only=True)
    version_number = serializers.IntegerField(source="version.number", read_only=True)
    cost = CostField(source="cost_microcredits", read_only=True)
    error = serializers.SerializerMethodField()
    retried_from = serializers.UUIDField(
        source="retried_from_id", read_only=True, allow_null=True, help_text="The execution that this one goes on from."
    )
    parent_execution = serializers.UUIDField(
        source="parent_id",
        read_only=True,
        allow_null=True,
        help_text="The execution that runs this one as a sub-graph.",
    )

    position = serializers.SerializerMethodField()

    class Meta:
        model = Execution
        list_serializer_class = ExecutionListSerializer
        fields = [
            "id",
            "graph",
            "graph_name",
            "version",
            "version_number",
            "status",
            "priority",
            "position",
            "is_paused",
            "retried_from",
            "parent_execution",
            "error",
            "input_tokens",
            "output_tokens",
            "cost",
            "created_at",
            "started_at",
            "ended_at",
        ]
        read_only_fields = fields

    @extend_schema_field({"type": ["integer", "null"], "description": "In your own line, while it waits for its turn."})
    def get_position(self, execution: Execution) -> int | None:
        """Return its place in the line of its owner, or null if it stands in none."""
        positions = admission.positions([execution]) if self.positions is None else self.positions
        return positions.get(execution.pk)

    @extend_schema_field(ExecutionErrorSerializer(allow_null=True))
    def get_error(self, execution: Execution) -> dict[str, str] | None:
        """Return what ended it, or null."""
        error = _error(execution)
        return error and error | {"node": execution.error_node}


class ExecutionDetailSerializer(ExecutionSerializer):
    """An execution with what went in, what came out, and what it waits for."""

    waits_for = serializers.SerializerMethodField()
    started_by = serializers.SerializerMethodField(help_text="A schedule or a webhook; null if somebody asked for it.")

    class Meta(ExecutionSerializer.Meta):
        fields = [*ExecutionSerializer.Meta.fields, "started_by", "waits_for", "inputs", "outputs"]
        read_only_fields = fields

    @extend_schema_field(StartedBySerializer(allow_null=True))
    def get_started_by(self, execution: Execution) -> dict[str, Any] | None:
        """Return what started it."""
        # Whoever has just asked for it knows, and need not wait for another look.
        started = None if self.context.get("was_asked_for") else started_by(execution.pk)
        return dict(StartedBySerializer(started).data) if started else None

    @extend_schema_field(WaitSerializer(many=True))
    def get_waits_for(self, execution: Execution) -> list[dict[str, Any]]:
        """Return the first of its open waits; `/waits/` has them all."""
        if execution.status not in (Status.RUNNING, Status.WAITING):
            return []
        waits = Wait.objects.filter(execution_id=execution.pk).open().with_names().order_by("id")
        shown = waits.select_related("owner", "answered_by").defer("form", "data", "answer")[:WAITS_SHOWN]
        return list(WaitSerializer(shown, many=True).data)


class NodeExecutionSerializer(serializers.ModelSerializer[NodeExecution]):
    """One firing of one node."""

    node = serializers.CharField(source="node_key", read_only=True, help_text="The key of the node.")
    item = serializers.CharField(
        source="shown_path", read_only=True, help_text="The item path as people count: `#1.2`."
    )
    cost = CostField(source="cost_microcredits", read_only=True)
    error = serializers.SerializerMethodField()
    inputs = serializers.JSONField(source="own_inputs", read_only=True)
    outputs = serializers.JSONField(source="own_outputs", read_only=True)
    reused_from = serializers.UUIDField(
        source="origin_id", read_only=True, allow_null=True, help_text="The execution whose firing stands here."
    )
    earlier_attempts = serializers.JSONField(source="history", read_only=True)

    class Meta:
        model = NodeExecution
        fields = [
            "id",
            "node",
            "item",
            "item_path",
            "status",
            "attempt",
            "earlier_attempts",
            "due_at",
            "reused_from",
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
