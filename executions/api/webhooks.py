"""The API of webhooks: make them, give them other secrets, look at what came, start it once more."""

from __future__ import annotations

from typing import Any, ClassVar

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
from executions import deliveries, own_webhooks, webhooks
from executions.filters import _OneOf
from executions.models import Delivery, DeliveryStatus, Webhook, WebhookQuerySet
from executions.serializers.webhooks import (
    DeliveryDetailSerializer,
    DeliverySerializer,
    NewWebhookSerializer,
    RotateSerializer,
    SampleSerializer,
    TrySerializer,
    WebhookAskSerializer,
    WebhookChangeSerializer,
    WebhookSerializer,
)
from graphs.errors import GraphNotFound
from graphs.models import Graph
from integrations import samples


class WebhookFilter(django_filters.FilterSet):
    """Find webhooks by what they start, how they are signed and whether they are on."""

    graph = django_filters.UUIDFilter(field_name="graph_id")

    class Meta:
        model = Webhook
        fields = ["scheme", "is_enabled"]


class DeliveryFilter(django_filters.FilterSet):
    """Find deliveries by what became of them, and what they were of."""

    status = _OneOf(choices=DeliveryStatus.choices, help_text="May be given several times.")
    event = django_filters.CharFilter(field_name="event")
    execution = django_filters.UUIDFilter(field_name="execution_id", help_text="The one that it started.")

    class Meta:
        model = Delivery
        fields: list[str] = []


@extend_schema(tags=["webhooks"])
class WebhookViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Removable):
    """Addresses that others send to, to start your graphs."""

    scopes: ClassVar = {"read": "webhooks:read", "write": "webhooks:write"}
    by_itself = frozenset({"graph_name", "url"})
    serializer_class = WebhookSerializer
    filterset_class = WebhookFilter
    queryset = Webhook.objects.none()

    def get_queryset(self) -> WebhookQuerySet:
        # Another's id is a 404.
        return Webhook.objects.owned_by(self.request.user).select_related("graph").order_by("-id")

    @extend_schema(request=WebhookAskSerializer, responses={201: NewWebhookSerializer})
    def create(self, request: Request) -> Response:
        """Make a webhook. Its secret is in this answer, and in none after it."""
        ask = WebhookAskSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        asked = dict(ask.validated_data)
        graph = Graph.objects.owned_by(request.user).filter(pk=asked.pop("graph")).first()
        if graph is None:
            raise GraphNotFound(path="graph")
        webhook, secret = own_webhooks.create(graph=graph, **asked)
        return self._with_secret(webhook, secret, status.HTTP_201_CREATED)

    @extend_schema(request=WebhookChangeSerializer, responses=WebhookSerializer)
    def partial_update(self, request: Request, pk: str | None = None) -> Response:
        """Change its name, its events or its mapping, or turn it off and on."""
        ask = WebhookChangeSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        with self.edited() as webhook:
            own_webhooks.update(webhook, **ask.validated_data)
        return Response(WebhookSerializer(webhook, context=self.get_serializer_context()).data)

    def perform_destroy(self, instance: Webhook) -> None:
        own_webhooks.delete(instance)

    @extend_schema(request=RotateSerializer, responses=NewWebhookSerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str | None = None) -> Response:
        """Give it another secret, which is in this answer; for a while the one before is taken too."""
        ask = RotateSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        webhook = self.get_object()
        return self._with_secret(webhook, own_webhooks.rotate(webhook, **ask.validated_data), status.HTTP_200_OK)

    @extend_schema(responses=SampleSerializer(many=True), filters=False)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def samples(self, request: Request, pk: str | None = None) -> Response:
        """List what a sender of its scheme sends."""
        return Response(SampleSerializer(samples.of_scheme(self.get_object().scheme), many=True).data)

    @extend_schema(
        request=TrySerializer,
        responses={
            202: OpenApiResponse(DeliveryDetailSerializer, "What became of it, as if it had come from outside.")
        },
    )
    @action(detail=True, methods=["post"], url_path="try")
    def send_sample(self, request: Request, pk: str | None = None) -> Response:
        """Deliver a sample, or a payload of your own: signed, verified and taken like any other, so it starts the graph."""
        ask = TrySerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        delivery = webhooks.send_sample(self.get_object(), **ask.validated_data)
        return Response(DeliveryDetailSerializer(delivery).data, status=status.HTTP_202_ACCEPTED)

    def _with_secret(self, webhook: Webhook, secret: str, code: int) -> Response:
        shown = WebhookSerializer(webhook, context=self.get_serializer_context()).data
        return Response({**shown, "secret": secret}, status=code)


@extend_schema(tags=["webhooks"])
class DeliveryViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Delivery]):
    """What came to one of your webhooks."""

    scopes: ClassVar = {"read": "webhooks:read", "write": "webhooks:write"}
    filterset_class = DeliveryFilter
    queryset = Delivery.objects.none()

    def get_queryset(self) -> QuerySet[Any]:
        mine = Webhook.objects.owned_by(self.request.user).only("id")
        webhook = get_object_or_404(mine, pk=self.kwargs["webhook_id"])
        found = Delivery.objects.filter(webhook_id=webhook.pk).order_by("-id")
        # A payload may have a megabyte, and a list shows none.
        return found if self.detail else found.defer("payload", "headers")

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return DeliveryDetailSerializer if self.detail else DeliverySerializer

    @extend_schema(
        request=None,
        responses={202: OpenApiResponse(DeliveryDetailSerializer, "A new delivery, with an execution of its own.")},
    )
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, webhook_id: str, pk: str | None = None) -> Response:
        """Start once more what it brought, as the webhook is now."""
        again = deliveries.replay(self.get_object()).delivery
        return Response(DeliveryDetailSerializer(again).data, status=status.HTTP_202_ACCEPTED)


router = SimpleRouter()
router.register("webhooks", WebhookViewSet, basename="webhook-settings")
router.register("webhooks/(?P<webhook_id>[^/.]+)/deliveries", DeliveryViewSet, basename="delivery")
