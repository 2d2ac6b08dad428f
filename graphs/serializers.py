"""Graphs and versions as the API shows them; a graph's content is its document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agentplatform.lib.asking import AskSerializer
from graphs import services
from graphs.documents import GraphModel
from graphs.models import Graph, GraphVersion


class GraphSerializer(serializers.ModelSerializer[Graph]):
    """A graph in a list: what it is called and how far it is."""

    latest_version = serializers.IntegerField(source="latest_number", read_only=True, allow_null=True)
    has_draft = serializers.BooleanField(read_only=True)

    class Meta:
        model = Graph
        fields = [
            "id",
            "name",
            "description",
            "is_archived",
            "max_concurrent",
            "latest_version",
            "has_draft",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class NumberSerializer(AskSerializer[Any]):
    """Which version."""

    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class AskDiffSerializer(serializers.Serializer[Any]):
    """Which versions to compare."""

    before = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    after = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, help_text="What is drawn now, unless named."
    )


class DiffSerializer(serializers.Serializer[Any]):
    """What has changed."""

    diff = serializers.CharField(help_text="A unified diff of the documents in YAML; empty if they say the same.")


class BlockCostSerializer(serializers.Serializer[Any]):
    """What a use of a block costs."""

    type = serializers.CharField()
    per_unit = serializers.FloatField(help_text="US dollars.")
    provider = serializers.CharField(allow_blank=True)


class BlockSerializer(serializers.Serializer[Any]):
    """A block that is installed here."""

    id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    placement = serializers.CharField()
    effects = serializers.CharField()
    is_disabled = serializers.BooleanField()
    credentials_required = serializers.ListField(child=serializers.CharField())
    cost = BlockCostSerializer(allow_null=True)
    streams = serializers.ListField(child=serializers.CharField())
    gathers = serializers.CharField(allow_blank=True)
    input_schema = serializers.DictField(help_text="JSON schema.")
    output_schema = serializers.DictField(help_text="JSON schema.")


class NeedSerializer(serializers.Serializer[Any]):
    """A credential that a node needs, and whether it is there."""

    node = serializers.CharField()
    provider = serializers.CharField()
    credential_id = serializers.UUIDField(allow_null=True, help_text="The one it names; else any for the provider.")
    is_there = serializers.BooleanField()


class GraphDetailSerializer(GraphSerializer):
    """A graph with what is drawn in it, and the credentials that takes."""

    document = serializers.SerializerMethodField()
    credentials = serializers.SerializerMethodField()

    class Meta(GraphSerializer.Meta):
        fields = [*GraphSerializer.Meta.fields, "document", "credentials"]
        read_only_fields = fields

    def get_document(self, graph: Graph) -> dict[str, Any]:
        """Return the draft, else the latest version; unlike an export, with the credentials that its nodes name."""
        return self._drawn(graph).as_data(with_credentials=True)

    @extend_schema_field(NeedSerializer(many=True))
    def get_credentials(self, graph: Graph) -> Any:
        """Return what its nodes need."""
        return NeedSerializer(services.needs_of(self._drawn(graph), owner_id=graph.owner_id), many=True).data

    def _drawn(self, graph: Graph) -> GraphModel:
        known: dict[Any, GraphModel] = self.__dict__.setdefault("_known", {})
        if graph.pk not in known:
            known[graph.pk] = GraphModel.load(services.drawn_version(graph))
        return known[graph.pk]


class GraphVersionSerializer(serializers.ModelSerializer[GraphVersion]):
    """A published version."""

    class Meta:
        model = GraphVersion
        fields = ["id", "number", "checksum", "published_at"]
        read_only_fields = fields


class ProblemSerializer(serializers.Serializer[Any]):
    """One thing that is wrong with a graph."""

    code = serializers.CharField()
    path = serializers.CharField()
    node = serializers.CharField()
    message = serializers.CharField()
    hint = serializers.CharField()


class VerdictSerializer(serializers.Serializer[Any]):
    """Whether a document could be published, and what is in the way."""

    is_publishable = serializers.BooleanField()
    problems = ProblemSerializer(many=True)
    document = serializers.DictField(
        allow_null=True,
        help_text="How it would be exported: what is left out has its default. Null if it can not be read.",
    )
    credentials = NeedSerializer(many=True, help_text="What its nodes need to run, and whether you have it.")
