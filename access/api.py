"""The API of API keys: make, see, replace and revoke your own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, ClassVar, cast

from django.apps import apps
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from access import keyring
from access.models import ApiKey, ApiKeyQuerySet
from access.scopes import ANY_KEY
from access.serializers import ApiKeySerializer, AskApiKeySerializer, MeSerializer, NewApiKeySerializer
from agentplatform.lib.etags import Editable


@extend_schema(tags=["access"])
class ApiKeyViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Editable):
    """Your API keys. A key is shown when it is made, and never again."""

    scopes: ClassVar = {"read": "keys:read", "write": "keys:write"}
    by_itself = frozenset({"last_used_at"})
    serializer_class = ApiKeySerializer
    filterset_fields = ["name", "prefix"]
    queryset = ApiKey.objects.none()

    def get_queryset(self) -> ApiKeyQuerySet:
        return ApiKey.objects.owned_by(self.request.user).order_by("-id")  # another's id is a 404

    @extend_schema(
        request=AskApiKeySerializer, responses={201: OpenApiResponse(NewApiKeySerializer, "With the key itself.")}
    )
    def create(self, request: Request) -> Response:
        """Make a key. A key that makes another can not give what it does not have: a scope, a network, a day."""
        key, text = keyring.issue(owner_id=cast(int, request.user.pk), **self._asked(request))
        return self._told(key, text, status.HTTP_201_CREATED)

    @extend_schema(request=AskApiKeySerializer, responses=ApiKeySerializer)
    def update(self, request: Request, pk: str | None = None) -> Response:
        """Say anew what a key opens."""
        with self.edited() as key:
            keyring.update(key, **self._asked(request))
        return Response(ApiKeySerializer(key).data)

    @extend_schema(request=None, responses=NewApiKeySerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str | None = None) -> Response:
        """Replace the text of a key. The one before stays good for a day."""
        key = self.get_object()
        # Its new text is all that it takes to use it.
        self._refuse_more(request, key.scopes, key.networks, key.expires_at)
        return self._told(key, keyring.rotate(key), status.HTTP_200_OK)

    @extend_schema(request=None, responses=ApiKeySerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str | None = None) -> Response:
        """Let a key open nothing any more."""
        return Response(ApiKeySerializer(keyring.revoke(self.get_object())).data)

    def _asked(self, request: Request) -> dict[str, Any]:
        ask = AskApiKeySerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        asked: dict[str, Any] = dict(ask.validated_data)
        graph_id = asked.pop("graph")
        if graph_id is not None:
            mine = apps.get_model("graphs", "Graph")._default_manager.filter(owner_id=request.user.pk)
            graph_id = get_object_or_404(mine, pk=graph_id).pk
        self._refuse_more(request, asked["scopes"], asked["networks"], asked["expires_at"])
        return asked | {"graph_id": graph_id}

    def _refuse_more(
        self, request: Request, scopes: Collection[str], networks: Sequence[str], expires_at: datetime | None
    ) -> None:
        if isinstance(request.auth, ApiKey):
            keyring.refuse_more(request.auth, scopes=scopes, networks=networks, expires_at=expires_at)

    def _told(self, key: ApiKey, text: str, code: int) -> Response:
        return Response(NewApiKeySerializer(key, context={"text": text}).data, status=code)


@extend_schema(tags=["access"])
class MeViewSet(viewsets.GenericViewSet[ApiKey]):
    """Who you are to the platform."""

    scopes: ClassVar = {"read": ANY_KEY}
    queryset = ApiKey.objects.none()
    pagination_class = None
    filter_backends = ()
    serializer_class = MeSerializer

    @extend_schema(responses=forced_singular_serializer(MeSerializer))
    def list(self, request: Request) -> Response:
        """Say whose key this is, and what it opens; without a key, who is logged in."""
        key = request.auth if isinstance(request.auth, ApiKey) else None
        return Response(MeSerializer({"user": request.user, "key": key}).data)


router = SimpleRouter()
router.register("api-keys", ApiKeyViewSet, basename="api-key")
router.register("me", MeViewSet, basename="me")
