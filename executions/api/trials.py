"""The API of trying blocks: their own examples, or once with inputs of yours."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.routers import SimpleRouter

from access.errors import ScopeMissing
from access.models import ApiKey
from agentplatform.lib.one_graph import only_graph_of
from executions import trials
from executions.models import Execution
from executions.serializers.executions import ExecutionDetailSerializer
from executions.serializers.trials import TrialAskSerializer, TriedAllSerializer


@extend_schema(tags=["blocks"])
class TrialViewSet(viewsets.GenericViewSet[Execution]):
    """Try a block before you draw it into a graph."""

    scopes: ClassVar = {"read": "executions:read", "write": "executions:start"}
    serializer_class = TrialAskSerializer
    pagination_class = None
    filter_backends = ()
    queryset = Execution.objects.none()

    @extend_schema(
        parameters=[OpenApiParameter("block_id", str, OpenApiParameter.PATH, description="The id of the block.")],
        responses={
            200: OpenApiResponse(TriedAllSerializer, "What its own examples gave; nothing was stored."),
            202: OpenApiResponse(ExecutionDetailSerializer, "An execution whose node `tested` is the block."),
        },
    )
    def create(self, request: Request, block_id: str) -> Response:
        """Run its own examples; or, with inputs, start it once, with all the rules that any execution has."""
        ask = TrialAskSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        if only_graph_of(request.user):
            raise ScopeMissing("A key for one graph may not try blocks.")
        asked: dict[str, Any] = dict(ask.validated_data)
        if "inputs" not in asked:
            tried = trials.by_examples(block_id)
            is_passed = all(one.is_passed is not False for one in tried)
            return Response(TriedAllSerializer({"is_passed": is_passed, "examples": tried}).data)
        execution = trials.start(
            owner_id=cast(int, request.user.pk),
            block_id=block_id,
            inputs=asked["inputs"],
            credentials=asked["credentials"],
            has_effects=asked["effects"],
            budget_microcredits=asked["budget_microcredits"],
            api_key=str(request.auth.pk) if isinstance(request.auth, ApiKey) else "",
        )
        place = reverse("execution-detail", kwargs={"pk": execution.pk}, request=request)
        shown = ExecutionDetailSerializer(execution, context={"was_asked_for": True}).data
        return Response(shown, status=status.HTTP_202_ACCEPTED, headers={"Location": place})


router = SimpleRouter()
router.register("blocks/(?P<block_id>[^/]+)/test", TrialViewSet, basename="trial")
