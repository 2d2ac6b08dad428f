"""The API of what executions wait for: what I am asked, my answer, and events from outside."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import BaseSerializer

from executions import waits
from executions.api.pages import OldestFirst
from executions.filters import ApprovalFilter, WaitFilter
from executions.models import Execution, Wait, WaitQuerySet
from executions.serializers.waits import (
    EventSentSerializer,
    EventSerializer,
    ReplySerializer,
    WaitDetailSerializer,
    WaitSerializer,
)


class _WaitViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Wait]):
    queryset = Wait.objects.none()

    def get_queryset(self) -> WaitQuerySet:
        found = self.seen().with_names().prefetch_related("owner", "answered_by")
        # A value may have megabytes, and a list shows none.
        return found if self.detail else found.defer("form", "data", "answer")

    def seen(self) -> WaitQuerySet:
        """Return what this user may see."""
        raise NotImplementedError

    def filter_queryset(self, queryset: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
        # Who asks for one by its id may see it, also when it is closed.
        return queryset if self.detail else super().filter_queryset(queryset)

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return WaitDetailSerializer if self.detail else WaitSerializer


@extend_schema(tags=["approvals"])
class ApprovalViewSet(_WaitViewSet):
    """What you are asked: approvals, and decisions about what was cut short."""

    scopes: ClassVar = {"read": "approvals:read", "write": "approvals:answer"}
    filterset_class = ApprovalFilter

    def seen(self) -> WaitQuerySet:
        return Wait.objects.answerable_by(self.request.user)  # what somebody else is asked is a 404

    @extend_schema(request=ReplySerializer, responses=WaitDetailSerializer)
    @action(detail=True, methods=["post"])
    def answer(self, request: Request, pk: str | None = None) -> Response:
        """Answer. The same answer again changes nothing; another one is refused."""
        ask = ReplySerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        user = cast(Any, request.user)
        answered = waits.answer(self.get_object(), by=user, reply=ask.save())
        return Response(WaitDetailSerializer(answered, context=self.get_serializer_context()).data)


@extend_schema(tags=["executions"])
class WaitViewSet(_WaitViewSet):
    """What one of your executions waits for, and has waited for."""

    scopes: ClassVar = {"read": "executions:read"}
    filterset_class = WaitFilter
    pagination_class = OldestFirst

    def seen(self) -> WaitQuerySet:
        mine = Execution.objects.owned_by(self.request.user).only("id")
        execution = get_object_or_404(mine, pk=self.kwargs["execution_id"])
        return Wait.objects.filter(execution_id=execution.pk)


@extend_schema(tags=["events"])
class EventViewSet(viewsets.GenericViewSet[Wait]):
    """Tell your executions what has happened outside."""

    scopes: ClassVar = {"write": "events:send"}
    queryset = Wait.objects.none()
    serializer_class = EventSerializer

    @extend_schema(responses={202: OpenApiResponse(EventSentSerializer, "Every firing that waited for it goes on.")})
    def create(self, request: Request) -> Response:
        """Send an event. What nobody waits for now is not kept."""
        ask = EventSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        owner_id = cast(int, request.user.pk)
        return Response(
            {"firings": waits.send_event(owner_id=owner_id, **ask.validated_data)}, status.HTTP_202_ACCEPTED
        )


router = SimpleRouter()
router.register("approvals", ApprovalViewSet, basename="approval")
router.register("executions/(?P<execution_id>[^/.]+)/waits", WaitViewSet, basename="wait")
router.register("events", EventViewSet, basename="event")
