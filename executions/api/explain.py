"""The API of what would run: how a graph is cut and sent. Nothing is executed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, viewsets
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from executions.explaining import explain_version
from executions.serializers.explain import ExplainedSerializer
from graphs import services as graph_services
from graphs.models import Graph


class _VersionAsk(serializers.Serializer[Any]):
    version = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="The number of a version; else what is drawn now."
    )


@extend_schema(tags=["graphs"])
class ExplainViewSet(viewsets.GenericViewSet[Graph]):
    """What an execution of a graph would run."""

    scopes: ClassVar = {"read": "graphs:read"}
    pagination_class = None
    filter_backends = ()
    serializer_class = ExplainedSerializer
    queryset = Graph.objects.none()

    @extend_schema(
        parameters=[_VersionAsk, OpenApiParameter("graph_id", OpenApiTypes.UUID, OpenApiParameter.PATH)],
        responses=forced_singular_serializer(ExplainedSerializer),
    )
    def list(self, request: Request, graph_id: str) -> Response:
        """Say how it is cut into segments, where those run, and in which waves they are sent."""
        ask = _VersionAsk(data=request.query_params)
        ask.is_valid(raise_exception=True)
        graph = get_object_or_404(Graph.objects.owned_by(request.user), pk=graph_id)
        number = ask.validated_data.get("version")
        version = graph_services.drawn_version(graph) if number is None else graph_services.find_version(graph, number)
        explained = asdict(explain_version(version)) | {"version": version.number}
        return Response(ExplainedSerializer(explained).data)


router = SimpleRouter()
router.register("graphs/(?P<graph_id>[^/.]+)/explain", ExplainViewSet, basename="explain")
