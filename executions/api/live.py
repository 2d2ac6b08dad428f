"""The API of live events: what an execution does, told while it does it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status, viewsets
from rest_framework.generics import get_object_or_404
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.routers import SimpleRouter

from access.passes import pass_of
from access.scopes import Scope
from executions.engine.live import LAST_KINDS
from executions.live import stream
from executions.models import Execution, LiveEvent
from executions.serializers.live import MOST_NUMBER, AskEventsSerializer, LivePageSerializer

NO_BUFFER = {
    "Cache-Control": "no-cache, no-transform",
    # What comes between us and the reader hands each piece on at once.
    "X-Accel-Buffering": "no",
}


class EventStreamRenderer(JSONRenderer):
    """Lets a browser's EventSource ask; what it is refused for is told in JSON as everywhere."""

    media_type = "text/event-stream"
    format = "event-stream"


@extend_schema(tags=["executions"])
class LiveEventViewSet(viewsets.GenericViewSet[Execution]):
    """What one execution does, while it does it."""

    scopes: ClassVar = {"read": "executions:read"}
    queryset = Execution.objects.none()
    renderer_classes = [JSONRenderer, EventStreamRenderer]
    serializer_class = LivePageSerializer
    filter_backends: list[Any] = []
    pagination_class = None

    @extend_schema(
        parameters=[
            AskEventsSerializer,
            OpenApiParameter("execution_id", OpenApiTypes.UUID, OpenApiParameter.PATH),
            OpenApiParameter(
                "Last-Event-ID",
                {"type": "integer", "minimum": 0, "maximum": MOST_NUMBER},
                OpenApiParameter.HEADER,
                description="As `after`; what a browser sends by itself when its stream has broken off.",
            ),
        ],
        responses={
            (200, "text/event-stream"): OpenApiResponse(
                OpenApiTypes.OBJECT,
                "Without `wait`: server-sent events, each with a `LiveEvent` as JSON for `data`.",
            ),
            (200, "application/json"): OpenApiResponse(
                forced_singular_serializer(LivePageSerializer), "With `wait`: what there is, as one answer."
            ),
            204: OpenApiResponse(description="It has ended, and everything of it was told: do not come again."),
        },
    )
    def list(self, request: Request, execution_id: str) -> HttpResponseBase:
        """Follow an execution: what it does, from its beginning or from where you were, until it has ended."""
        mine = Execution.objects.owned_by(request.user).only("id")
        execution = get_object_or_404(mine, pk=execution_id)
        ask = AskEventsSerializer(data=_asked(request))
        ask.is_valid(raise_exception=True)
        after, wait_s = ask.validated_data["after"], ask.validated_data.get("wait")
        if (
            wait_s is None
            and LiveEvent.objects.filter(execution_id=execution.pk, number__lte=after, kind__in=LAST_KINDS).exists()
        ):
            return HttpResponse(status=status.HTTP_204_NO_CONTENT)
        reader = stream.Reader(pass_of(request, scope=Scope.EXECUTIONS_READ), stream.take_place())
        if wait_s is not None:
            polled = stream.long_poll(execution.pk, after, reader, wait_s=wait_s)
            return StreamingHttpResponse(polled, content_type="application/json", headers=NO_BUFFER)
        told = stream.server_sent(execution.pk, after, reader)
        return StreamingHttpResponse(told, content_type="text/event-stream", headers=NO_BUFFER)


def _asked(request: Request) -> dict[str, Any]:
    """Return what is asked for; a stream that is taken up again goes by where it was."""
    asked = request.query_params.dict()
    last = request.headers.get("Last-Event-ID", "")
    return asked | ({"after": last} if last else {})


router = SimpleRouter()
router.register("executions/(?P<execution_id>[^/.]+)/events", LiveEventViewSet, basename="live-event")
