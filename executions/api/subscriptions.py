"""The API of subscriptions: say who is told what, try it, look at what went out, send it once more."""

from __future__ import annotations

from typing import Any, ClassVar, cast

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
from executions import own_subscriptions
from executions.filters import _OneOf
from executions.models import OutgoingDelivery, OutgoingStatus, Subscription, SubscriptionQuerySet
from executions.serializers.subscriptions import (
    NewSubscriptionSerializer,
    OutgoingDeliveryDetailSerializer,
    OutgoingDeliverySerializer,
    ResendSerializer,
    ResentSerializer,
    SubscriptionAskSerializer,
    SubscriptionChangeSerializer,
    SubscriptionRotateSerializer,
    SubscriptionSerializer,
)
from graphs.errors import GraphNotFound
from graphs.models import Graph


class SubscriptionFilter(django_filters.FilterSet):
    """Find subscriptions by whose news they want and whether they are on."""

    graph = django_filters.UUIDFilter(field_name="graph_id")

    class Meta:
        model = Subscription
        fields = ["is_enabled"]


class OutgoingDeliveryFilter(django_filters.FilterSet):
    """Find what went out by how far it has come, and what it was of."""

    status = _OneOf(choices=OutgoingStatus.choices, help_text="May be given several times.")
    event = django_filters.CharFilter(field_name="event")
    execution = django_filters.UUIDFilter(field_name="execution_id", help_text="To which it has happened.")

    class Meta:
        model = OutgoingDelivery
        fields: list[str] = []


@extend_schema(tags=["subscriptions"])
class SubscriptionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Removable):
    """Addresses of yours that are told what happens to your executions."""

    scopes: ClassVar = {"read": "subscriptions:read", "write": "subscriptions:write"}
    by_itself = frozenset({"graph_name", "failures", "heard_at"})
    serializer_class = SubscriptionSerializer
    filterset_class = SubscriptionFilter
    queryset = Subscription.objects.none()

    def get_queryset(self) -> SubscriptionQuerySet:
        # Another's id is a 404.
        return Subscription.objects.owned_by(self.request.user).select_related("graph").order_by("-id")

    @extend_schema(request=SubscriptionAskSerializer, responses={201: NewSubscriptionSerializer})
    def create(self, request: Request) -> Response:
        """Make a subscription. Its secret is in this answer, and in none after it."""
        ask = SubscriptionAskSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        asked = self._with_graph(dict(ask.validated_data))
        subscription, secret = own_subscriptions.create(owner_id=cast(int, request.user.pk), **asked)
        return self._with_secret(subscription, secret, status.HTTP_201_CREATED)

    @extend_schema(request=SubscriptionChangeSerializer, responses=SubscriptionSerializer)
    def partial_update(self, request: Request, pk: str | None = None) -> Response:
        """Change it, or turn it off and on. Turned off, it is not sent what it has not got."""
        with self.edited() as subscription:
            ask = SubscriptionChangeSerializer(data=request.data)
            ask.is_valid(raise_exception=True)
            subscription = own_subscriptions.update(subscription, **self._with_graph(dict(ask.validated_data)))
        return Response(SubscriptionSerializer(subscription).data)

    def perform_destroy(self, instance: Subscription) -> None:
        own_subscriptions.delete(instance)

    @extend_schema(request=SubscriptionRotateSerializer, responses=NewSubscriptionSerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str | None = None) -> Response:
        """Give it another secret, which is in this answer; for a while is signed with the one before too."""
        subscription = self.get_object()
        ask = SubscriptionRotateSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        secret = own_subscriptions.rotate(subscription, **ask.validated_data)
        return self._with_secret(subscription, secret, status.HTTP_200_OK)

    @extend_schema(
        request=None, responses={202: OpenApiResponse(OutgoingDeliveryDetailSerializer, "It is sent in a moment.")}
    )
    @action(detail=True, methods=["post"])
    def ping(self, request: Request, pk: str | None = None) -> Response:
        """Send a test: an event `ping`, as any other is sent."""
        sent = own_subscriptions.ping(self.get_object())
        return Response(OutgoingDeliveryDetailSerializer(sent).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=ResendSerializer, responses={202: ResentSerializer})
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str | None = None) -> Response:
        """Send once more all that was given up since a moment."""
        subscription = self.get_object()
        ask = ResendSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        count = own_subscriptions.resend_failed(subscription, **ask.validated_data)
        return Response(ResentSerializer({"deliveries": count}).data, status=status.HTTP_202_ACCEPTED)

    def _with_graph(self, asked: dict[str, Any]) -> dict[str, Any]:
        if (graph_id := asked.get("graph")) is not None:
            asked["graph"] = Graph.objects.owned_by(self.request.user).filter(pk=graph_id).first()
            if asked["graph"] is None:
                raise GraphNotFound(path="graph")
        return asked

    def _with_secret(self, subscription: Subscription, secret: str, code: int) -> Response:
        return Response({**SubscriptionSerializer(subscription).data, "secret": secret}, status=code)


@extend_schema(tags=["subscriptions"])
class OutgoingDeliveryViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[OutgoingDelivery]
):
    """What one of your subscriptions is told, the newest first."""

    scopes: ClassVar = {"read": "subscriptions:read", "write": "subscriptions:write"}
    filterset_class = OutgoingDeliveryFilter
    queryset = OutgoingDelivery.objects.none()

    def get_queryset(self) -> QuerySet[Any]:
        mine = Subscription.objects.owned_by(self.request.user).only("id")
        subscription = get_object_or_404(mine, pk=self.kwargs["subscription_id"])
        found = OutgoingDelivery.objects.filter(subscription_id=subscription.pk).order_by("-id")
        return found if self.detail else found.defer("payload", "log", "answer")

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return OutgoingDeliveryDetailSerializer if self.detail else OutgoingDeliverySerializer

    @extend_schema(
        request=None, responses={202: OpenApiResponse(OutgoingDeliveryDetailSerializer, "It is sent in a moment.")}
    )
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, subscription_id: str, pk: str | None = None) -> Response:
        """Send it once more, under the same id; one that is still tried is tried at once."""
        again = own_subscriptions.resend(self.get_object())
        return Response(OutgoingDeliveryDetailSerializer(again).data, status=status.HTTP_202_ACCEPTED)


router = SimpleRouter()
router.register("subscriptions", SubscriptionViewSet, basename="subscription")
router.register(
    "subscriptions/(?P<subscription_id>[^/.]+)/deliveries", OutgoingDeliveryViewSet, basename="outgoing-delivery"
)
