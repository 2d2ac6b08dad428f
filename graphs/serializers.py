"""Graphs and versions as the API shows them; a graph's content is its document."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

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


class GraphDetailSerializer(GraphSerializer):
    """A graph with what is drawn in it."""

    document = serializers.SerializerMethodField()

    class Meta(GraphSerializer.Meta):
        fields = [*GraphSerializer.Meta.fields, "document"]
        read_only_fields = fields

    def get_document(self, graph: Graph) -> dict[str, Any]:
        """Return the draft, else the latest version."""
        return GraphModel.load(services.drawn_version(graph)).as_data()


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
