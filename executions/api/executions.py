"""The API of executions: start, list, look, go on from one that has ended; all within the owner's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, cast
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import BaseSerializer

from access.models import ApiKey
from agentplatform.lib import once
from executions import services
from executions.api.pages import PagesOfValues
from executions.asked_version import asked_version
from executions.filters import ExecutionFilter, NodeExecutionFilter
from executions.models import Execution, ExecutionQuerySet, NodeExecution
from executions.once import start_once
from executions.serializers.executions import (
    ExecutionDetailSerializer,
    ExecutionSerializer,
    NodeExecutionSerializer,
    RetryPreviewSerializer,
    RetrySerializer,
    StartSerializer,
)
from graphs.models import GraphVersion

IDEMPOTENCY_KEY = once.parameter("execution")
#: Read what is asked for, and show what was. Made once: they keep nothing of a request, and their fields take longer to make than to use.
ASKED = StartSerializer()
JUST_ASKED_FOR = ExecutionDetailSerializer(context={"was_asked_for": True})


@extend_schema(tags=["executions"])
class ExecutionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Execution]):
    """Start your own graphs, and watch what they do."""

    scopes: ClassVar = {
        "read": "executions:read",
        "create": "executions:start",
        "retry": "executions:start",
        "preview_retry": "executions:read",
        "write": "executions:control",
    }
    filterset_class = ExecutionFilter
    queryset = Execution.objects.none()

    def get_queryset(self) -> ExecutionQuerySet:
        mine = Execution.objects.owned_by(self.request.user).order_by("-id")  # another's id is a 404
        if self.detail:
            return mine.select_related("graph", "version")
        # A value may have megabytes, and a list shows none. Names are read after the page: in one statement with it, wrong
        # statistics of a small table can let the planner read a large one whole.
        return mine.prefetch_related("graph", "version").defer("inputs", "outputs")

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return ExecutionSerializer if self.action == "list" else ExecutionDetailSerializer

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        request=StartSerializer,
        responses={202: OpenApiResponse(ExecutionDetailSerializer, "Recorded; it starts as soon as a worker is free.")},
    )
    def create(self, request: Request) -> Response:
        """Start a graph. The answer does not wait for its end: ask for the execution again, or for its nodes."""
        asked = ASKED.run_validation(request.data)
        version = asked_version(request.user, graph_id=asked.get("graph"), version_id=asked.get("version"))
        start = partial(
            services.start,
            version_id=version.pk,
            owner_id=cast(int, request.user.pk),  # nobody else gets past the permission
            inputs=asked.get("inputs"),
            priority=asked["priority"],
            budget_microcredits=asked.get("budget_microcredits"),
            api_key=_key_id(request),
            is_alone=True,
        )
        return self._accepted(request, start, "start", version=version)

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        request=RetrySerializer,
        responses={
            202: OpenApiResponse(ExecutionDetailSerializer, "Recorded as a new execution that goes on from this.")
        },
    )
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str | None = None) -> Response:
        """Go on from an execution that has ended. What stands of it is neither run nor paid again."""
        ask = RetrySerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        user_id = cast(int, request.user.pk)
        earlier = self.get_object()
        retry = partial(services.retry, earlier, ask.save(), owner_id=user_id)
        return self._accepted(request, retry, f"retry {earlier.pk}")

    @extend_schema(request=RetrySerializer, responses={200: RetryPreviewSerializer})
    @action(detail=True, methods=["post"], url_path="retry/preview")
    def preview_retry(self, request: Request, pk: str | None = None) -> Response:
        """Say what a retry would reuse, run, act on and cost. Starts nothing."""
        ask = RetrySerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        return Response(RetryPreviewSerializer(services.preview_retry(self.get_object(), ask.save())).data)

    @extend_schema(request=None, responses={200: ExecutionDetailSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str | None = None) -> Response:
        """Stop an execution and all it has started. One that has ended stays as it is; to ask twice is to ask once."""
        return self._shown(services.cancel(self.get_object()))

    @extend_schema(request=None, responses={200: ExecutionDetailSerializer})
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str | None = None) -> Response:
        """Begin nothing more of an execution and all it has started. What runs goes on to its end."""
        return self._shown(services.pause(self.get_object()))

    @extend_schema(request=None, responses={200: ExecutionDetailSerializer})
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str | None = None) -> Response:
        """Go on with what was paused."""
        return self._shown(services.resume(self.get_object()))

    def _shown(self, execution: Execution) -> Response:
        return Response(ExecutionDetailSerializer(execution, context=self.get_serializer_context()).data)

    def _accepted(
        self, request: Request, start: Callable[..., Execution], what: str, *, version: GraphVersion | None = None
    ) -> Response:
        was_there = False
        if (key := request.headers.get(once.HEADER)) is not None:
            digest = once.digest_of(what, request.data)
            keyed = partial(_start_as, start)
            execution, was_there = start_once(key, digest, keyed, owner_id=cast(int, request.user.pk))
        else:
            execution = start()
        if version is not None and execution.version_id == version.pk:
            # Known already, and to be shown.
            execution.version, execution.graph = version, version.graph
        place = reverse("execution-detail", kwargs={"pk": execution.pk}, request=request)
        headers = {"Location": place} | (once.REPLAYED if was_there else {})
        shown = JUST_ASKED_FOR.to_representation(execution)
        return Response(shown, status=status.HTTP_202_ACCEPTED, headers=headers)


@extend_schema(tags=["executions"])
class NodeExecutionViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[NodeExecution]):
    """What the nodes of one execution did."""

    scopes: ClassVar = {"read": "executions:read"}
    filterset_class = NodeExecutionFilter
    pagination_class = PagesOfValues
    serializer_class = NodeExecutionSerializer
    queryset = NodeExecution.objects.none()

    def get_queryset(self) -> QuerySet[Any]:
        mine = Execution.objects.owned_by(self.request.user).only("id")
        execution = get_object_or_404(mine, pk=self.kwargs["execution_id"])
        return NodeExecution.objects.filter(execution_id=execution.pk).with_origins()

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List what the nodes of an execution did, in the order in which they began."""
        return super().list(request, *args, **kwargs)


def _start_as(start: Callable[..., Execution], execution_id: UUID) -> Execution:
    return start(execution_id=execution_id)


def _key_id(request: Request) -> str:
    """Return that of the API key that asks; nothing for a session of the console."""
    return str(request.auth.pk) if isinstance(request.auth, ApiKey) else ""


router = SimpleRouter()
router.register("executions", ExecutionViewSet, basename="execution")
router.register("executions/(?P<execution_id>[^/.]+)/nodes", NodeExecutionViewSet, basename="node-execution")
