"""The API of graphs: documents in, documents out, all within the owner's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, ClassVar

from django.db.models import Exists, Max, OuterRef
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import BaseSerializer
from rest_framework.settings import api_settings

from agentplatform.lib.etags import Removable
from blocks import registry
from graphs import block_catalog, changes, services, texts
from graphs.documents import GraphFile, GraphModel
from graphs.errors import GraphInvalid
from graphs.models import Graph, GraphQuerySet, GraphVersion
from graphs.named import Need
from graphs.serializers import (
    AskDiffSerializer,
    BlockSerializer,
    DiffSerializer,
    GraphDetailSerializer,
    GraphSerializer,
    GraphVersionSerializer,
    NumberSerializer,
    VerdictSerializer,
)
from graphs.texts import Syntax


class _DocumentParser(BaseParser):
    syntax: ClassVar[Syntax]

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the data of a body, which is read no further than a document may be long."""
        return texts.parse(stream.read(texts.MAX_BYTES[self.syntax] + 1), self.syntax)


class JsonDocumentParser(_DocumentParser):
    """Reads a document as JSON."""

    media_type = "application/json"
    syntax = "json"


class YamlDocumentParser(_DocumentParser):
    """Reads a document as YAML."""

    media_type = "application/yaml"
    syntax = "yaml"


class _DocumentRenderer(JSONRenderer):
    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        """Return an exported text as it is; an error in its place is JSON."""
        return data.encode() if isinstance(data, str) else super().render(data, *args, **kwargs)


class JsonDocumentRenderer(_DocumentRenderer):
    """Answers `?format=json`."""

    format = "json"


class YamlDocumentRenderer(_DocumentRenderer):
    """Answers `?format=yaml`."""

    media_type = "application/yaml"
    format = "yaml"
    charset = "utf-8"


@extend_schema(tags=["graphs"])
class GraphViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Removable):
    """Draw, check and publish your own graphs."""

    scopes: ClassVar = {"read": "graphs:read", "write": "graphs:write", "validate": "graphs:read"}
    by_itself = frozenset({"credentials"})
    parser_classes = [JsonDocumentParser, YamlDocumentParser]
    filterset_fields = ["name", "is_archived"]
    queryset = Graph.objects.none()

    def get_queryset(self) -> GraphQuerySet:
        drafts = GraphVersion.objects.drafts().filter(graph=OuterRef("pk"))
        mine = Graph.objects.owned_by(self.request.user)  # another's id is a 404
        return mine.annotate(latest_number=Max("versions__number"), has_draft=Exists(drafts)).order_by("-id")

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return GraphSerializer if self.action == "list" else GraphDetailSerializer

    @extend_schema(request={"application/json": GraphFile, "application/yaml": GraphFile})
    def create(self, request: Request) -> Response:
        """Make a graph out of a document in JSON or YAML; it becomes the draft."""
        graph = services.create(owner_id=request.user.pk, document=GraphModel.read(request.data))
        return self._shown(graph, status.HTTP_201_CREATED)

    @extend_schema(request={"application/json": GraphFile, "application/yaml": GraphFile})
    def update(self, request: Request, pk: str | None = None) -> Response:
        """Replace the draft of a graph."""
        with self.edited() as graph:
            services.save_draft(graph, GraphModel.read(request.data))
        return self._shown(graph, status.HTTP_200_OK)

    @extend_schema(request=None, responses=GraphVersionSerializer)
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, pk: str | None = None) -> Response:
        """Freeze the draft as the next version; if it says nothing new, the latest version is the answer."""
        return Response(GraphVersionSerializer(services.publish(self.get_object())).data)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Put a graph away. It stays, with its executions: `is_archived` says so."""
        return super().destroy(request, *args, **kwargs)

    def perform_destroy(self, instance: Graph) -> None:
        services.archive(instance)

    @extend_schema(request=NumberSerializer, responses=GraphVersionSerializer)
    @action(detail=True, methods=["post"], parser_classes=api_settings.DEFAULT_PARSER_CLASSES)
    def rollback(self, request: Request, pk: str | None = None) -> Response:
        """Publish what an earlier version says as the next one."""
        ask = NumberSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        version = services.roll_back(self.get_object(), ask.validated_data["version"])
        return Response(GraphVersionSerializer(version).data)

    @extend_schema(parameters=[AskDiffSerializer], responses=DiffSerializer, filters=False)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def diff(self, request: Request, pk: str | None = None) -> Response:
        """Say what has changed between two versions, or since one of them."""
        ask = AskDiffSerializer(data=request.query_params)
        ask.is_valid(raise_exception=True)
        graph, after = self.get_object(), ask.validated_data.get("after")
        then = services.find_version(graph, ask.validated_data["before"])
        now = services.drawn_version(graph) if after is None else services.find_version(graph, after)
        return Response(DiffSerializer({"diff": changes.between(then, now)}).data)

    @extend_schema(responses=GraphVersionSerializer(many=True), filters=False)
    @action(detail=True, filter_backends=[])
    def versions(self, request: Request, pk: str | None = None) -> Response:
        """List the published versions, newest first."""
        versions = self.get_object().versions.published()
        assert self.paginator is not None  # the platform pages every list
        page: Any = self.paginator.paginate_queryset(versions, request, view=self)
        return self.get_paginated_response(GraphVersionSerializer(page, many=True).data)

    @extend_schema(
        request={"application/json": GraphFile, "application/yaml": GraphFile},
        responses=VerdictSerializer,
        filters=False,
    )
    @action(detail=False, methods=["post"], filter_backends=[], pagination_class=None)
    def validate(self, request: Request) -> Response:
        """Say everything that keeps a document from being published, without storing it."""
        needs: list[Need] = []
        exported: dict[str, Any] | None = None
        user_id = int(request.user.pk or 0)
        try:
            document = GraphModel.read(request.data)
            exported = document.as_data()
            problems = services.problems_of(document, owner_id=user_id)
            needs = services.needs_of(document, owner_id=user_id)
        except GraphInvalid as error:
            problems = error.problems
        verdict = {"is_publishable": not problems, "problems": problems, "document": exported, "credentials": needs}
        return Response(VerdictSerializer(verdict).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("format", str, enum=["json", "yaml"]),
            OpenApiParameter(
                "version",
                {"type": "integer", "minimum": 0, "maximum": 999_999_999},
                description="The number of a version; else what is drawn now.",
            ),
        ],
        responses=OpenApiResponse(GraphFile),
        filters=False,
    )
    @action(detail=True, filter_backends=[], renderer_classes=[JsonDocumentRenderer, YamlDocumentRenderer])
    def export(self, request: Request, pk: str | None = None) -> Response:
        """Return the document of a graph."""
        syntax: Syntax = "yaml" if getattr(request.accepted_renderer, "format", "") == "yaml" else "json"
        return Response(services.export_document(self.get_object(), syntax=syntax, number=_number(request)))

    def _shown(self, graph: Graph, code: int) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=graph.pk)).data, status=code)


@extend_schema(tags=["graphs"])
class BlockViewSet(viewsets.GenericViewSet[Graph]):
    """The blocks that are installed here."""

    scopes: ClassVar = {"read": "graphs:read"}
    serializer_class = BlockSerializer
    pagination_class = None
    filter_backends = ()
    queryset = Graph.objects.none()
    lookup_value_regex = "[^/]+"

    @extend_schema(responses=BlockSerializer(many=True))
    def list(self, request: Request) -> Response:
        """List all of them, with what they take and give."""
        return Response(BlockSerializer(block_catalog.described(), many=True).data)

    @extend_schema(
        responses=BlockSerializer,
        parameters=[OpenApiParameter("id", str, OpenApiParameter.PATH, description="The id of the block.")],
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        """Show one."""
        try:
            block = registry.get(pk)
        except registry.UnknownBlock:
            raise Http404 from None
        return Response(BlockSerializer(block_catalog.describe(block)).data)


def _number(request: Request) -> int | None:
    asked = request.query_params.get("version")
    if asked is None:
        return None
    # Longer ones are no version, and no integer of Postgres either.
    if not (asked.isascii() and asked.isdigit() and len(asked) < 10):
        raise ValidationError({"version": "A version is asked for by its number."})
    return int(asked)


router = SimpleRouter()
router.register("graphs", GraphViewSet, basename="graph")
router.register("blocks", BlockViewSet, basename="block")
