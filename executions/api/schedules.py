"""The API of schedules: make them, look ahead, pause and resume, fire at once, see what became of their times."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import BaseSerializer

from agentplatform.lib.etags import Removable
from executions import own_schedules, schedules
from executions.errors import ScheduleInvalid
from executions.filters import _OneOf
from executions.models import Fire, FireStatus, Schedule, ScheduleQuerySet
from executions.serializers.schedules import (
    FireSerializer,
    MomentSerializer,
    PreviewSerializer,
    ScheduleAskSerializer,
    ScheduleChangeSerializer,
    ScheduleDetailSerializer,
    ScheduleSerializer,
)
from graphs.errors import GraphNotFound
from graphs.models import Graph, GraphVersion


class ScheduleFilter(django_filters.FilterSet):
    """Find schedules by what they start and whether they do."""

    graph = django_filters.UUIDFilter(field_name="graph_id")

    class Meta:
        model = Schedule
        fields = ["kind", "is_paused"]


class FireFilter(django_filters.FilterSet):
    """Find times by what became of them."""

    status = _OneOf(choices=FireStatus.choices, help_text="May be given several times.")
    execution = django_filters.UUIDFilter(field_name="execution_id", help_text="The one that was started.")

    class Meta:
        model = Fire
        fields: list[str] = []


@extend_schema(tags=["schedules"])
class ScheduleViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Removable):
    """When your graphs are started by the clock."""

    scopes: ClassVar = {"read": "schedules:read", "preview": "schedules:read", "write": "schedules:write"}
    by_itself = frozenset({"graph_name", "next_fire_at", "next_fire_at_local", "next_fires"})
    filterset_class = ScheduleFilter
    queryset = Schedule.objects.none()

    def get_queryset(self) -> ScheduleQuerySet:
        # Another's id is a 404.
        return Schedule.objects.owned_by(self.request.user).select_related("graph").order_by("-id")

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return ScheduleDetailSerializer if self.detail else ScheduleSerializer

    @extend_schema(request=ScheduleAskSerializer, responses={201: ScheduleDetailSerializer})
    def create(self, request: Request) -> Response:
        """Make a schedule."""
        ask = ScheduleAskSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        asked = dict(ask.validated_data)
        graph = Graph.objects.owned_by(request.user).filter(pk=asked.pop("graph")).first()
        if graph is None:
            raise GraphNotFound(path="graph")
        schedule = own_schedules.create(graph=graph, **self._with_version(asked))
        return Response(ScheduleDetailSerializer(schedule).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ScheduleChangeSerializer, responses=ScheduleDetailSerializer)
    def partial_update(self, request: Request, pk: str | None = None) -> Response:
        """Change it. If that changes when it is due, its next time is counted from now."""
        with self.edited() as schedule:
            ask = ScheduleChangeSerializer(data=request.data)
            ask.is_valid(raise_exception=True)
            schedule = own_schedules.update(schedule, **self._with_version(dict(ask.validated_data)))
        return Response(ScheduleDetailSerializer(schedule).data)

    def perform_destroy(self, instance: Schedule) -> None:
        own_schedules.delete(instance)

    @extend_schema(request=None, responses=ScheduleDetailSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str | None = None) -> Response:
        """Start nothing more until it is resumed. Times that come meanwhile are not missed."""
        return Response(ScheduleDetailSerializer(own_schedules.pause(self.get_object())).data)

    @extend_schema(request=None, responses=ScheduleDetailSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str | None = None) -> Response:
        """Go on, from the next time that comes."""
        return Response(ScheduleDetailSerializer(own_schedules.resume(self.get_object())).data)

    @extend_schema(request=None, responses={202: OpenApiResponse(FireSerializer, "It has an execution.")})
    @action(detail=True, methods=["post"], url_path="fire")
    def fire_now(self, request: Request, pk: str | None = None) -> Response:
        """Start its graph at once, beside its times; also while it is paused."""
        fire = schedules.fire_now(self.get_object())
        return Response(FireSerializer(fire).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=PreviewSerializer, responses=MomentSerializer(many=True))
    @action(detail=False, methods=["post"], filter_backends=[], pagination_class=None)
    def preview(self, request: Request) -> Response:
        """List the next times that a schedule like this would have. Nothing is stored."""
        ask = PreviewSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        return Response(MomentSerializer(own_schedules.preview(**ask.validated_data), many=True).data)

    def _with_version(self, asked: dict[str, Any]) -> dict[str, Any]:
        version_id: UUID | None = asked.get("version")
        if version_id is not None:
            asked["version"] = GraphVersion.objects.owned_by(self.request.user).filter(pk=version_id).first()
            if asked["version"] is None:
                raise ScheduleInvalid("This is no published version of the graph.", path="version")
        return asked


@extend_schema(tags=["schedules"])
class FireViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Fire]):
    """What became of the times of one of your schedules, the newest first."""

    scopes: ClassVar = {"read": "schedules:read", "write": "schedules:write"}
    serializer_class = FireSerializer
    filterset_class = FireFilter
    queryset = Fire.objects.none()

    def get_queryset(self) -> QuerySet[Any]:
        mine = Schedule.objects.owned_by(self.request.user).only("id")
        schedule = get_object_or_404(mine, pk=self.kwargs["schedule_id"])
        return Fire.objects.filter(schedule_id=schedule.pk).prefetch_related("schedule").order_by("-id")


router = SimpleRouter()
router.register("schedules", ScheduleViewSet, basename="schedule")
router.register("schedules/(?P<schedule_id>[^/.]+)/fires", FireViewSet, basename="fire")
