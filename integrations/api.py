"""The API of credentials: keep, share, replace, try and revoke your own; of what others share, see that it is there."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from agentplatform.lib.etags import Removable
from integrations import services, trial, uses
from integrations.models import Credential, CredentialQuerySet
from integrations.serializers import (
    AddSerializer,
    ChangeSerializer,
    CredentialSerializer,
    TrialSerializer,
    UseSerializer,
)


@extend_schema(tags=["credentials"])
class CredentialViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Removable):
    """Your credentials, and those that a group of yours shares. Nothing shows a secret."""

    scopes: ClassVar = {"read": "credentials:read", "write": "credentials:write"}
    by_itself = frozenset({"is_own", "is_expired", "is_expiring", "last_used_at"})
    serializer_class = CredentialSerializer
    filterset_fields = ["provider", "kind", "name"]
    queryset = Credential.objects.none()

    def get_queryset(self) -> CredentialQuerySet:
        mine = Credential.objects.owned_by(self.request.user)  # another's id is a 404
        # What is shared may be seen and tried, and is its owner's to change.
        if self.request.method in SAFE_METHODS and self.request.user.pk is not None:
            mine = Credential.objects.seen_by(self.request.user.pk)
        return mine.select_related("group").defer("secret").order_by("-id")

    @extend_schema(request=AddSerializer, responses={201: CredentialSerializer})
    def create(self, request: Request) -> Response:
        """Keep a new credential."""
        credential = services.add(owner_id=int(self.request.user.pk or 0), **self._asked(AddSerializer, request))
        return Response(self.get_serializer(credential).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ChangeSerializer, responses=CredentialSerializer)
    def partial_update(self, request: Request, pk: str | None = None) -> Response:
        """Change a credential, or write its new secret. To have it sent elsewhere, the secret has to be written with it."""
        changes = self._asked(ChangeSerializer, request)
        with self.edited() as credential:
            credential = services.update(credential, **changes)
        return Response(self.get_serializer(credential).data)

    def perform_destroy(self, instance: Credential) -> None:
        services.remove(instance)

    @extend_schema(request=None, responses=CredentialSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str | None = None) -> Response:
        """Use it no more, within seconds, and destroy its secret; the row stays."""
        return Response(self.get_serializer(services.revoke(self.get_object())).data)

    @extend_schema(request=None, responses=TrialSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str | None = None) -> Response:
        """Ask its provider something harmless, and say whether it takes the credential."""
        return Response(TrialSerializer(trial.try_out(self.get_object())).data)

    @extend_schema(responses=UseSerializer(many=True), filters=False)
    @action(detail=True, url_path="used-by", filter_backends=[], pagination_class=None)
    def used_by(self, request: Request, pk: str | None = None) -> Response:
        """List the nodes of your graphs that name it: in drafts, and in the newest version of each graph."""
        credential = self.get_object()
        found = uses.uses_of(credential.pk, credential.provider)
        mine = [use for use in found if use.owner_id == request.user.pk]
        return Response(UseSerializer(mine, many=True).data)

    def _asked(self, serializer: type[Any], request: Request) -> dict[str, Any]:
        ask = serializer(data=request.data, context=self.get_serializer_context())
        ask.is_valid(raise_exception=True)
        return dict(ask.validated_data)


router = SimpleRouter()
router.register("credentials", CredentialViewSet, basename="credential")
