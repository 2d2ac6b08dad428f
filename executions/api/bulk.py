"""The API of many executions at once: cancel, pause, resume or go on from all that a filter finds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, cast
from uuid import UUID

from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from agentplatform.lib import once
from executions import bulk, services
from executions.bulk import Action
from executions.filters import ExecutionFilter
from executions.models import Execution, ExecutionQuerySet
from executions.once import start_once
from executions.retrying import Ask
from executions.serializers.bulk import BulkDoneSerializer, BulkSerializer

IDEMPOTENCY_KEY = OpenApiParameter(
    once.HEADER,
    str,
    OpenApiParameter.HEADER,
    description="Asked again with the same key within a day, nothing is started that was started before.",
)
described: Callable[..., Any] = partial(
    extend_schema, request=BulkSerializer, responses={200: BulkDoneSerializer}, filters=True
)


@extend_schema(tags=["executions"])
class BulkViewSet(viewsets.GenericViewSet[Execution]):
    """Many of your executions at once: those that the list shows with the same filter."""

    scopes: ClassVar = {"read": "executions:read", "write": "executions:control", "retry": "executions:start"}
    filterset_class = ExecutionFilter
    serializer_class = BulkDoneSerializer
    pagination_class = None
    queryset = Execution.objects.none()

    def get_queryset(self) -> ExecutionQuerySet:
        return Execution.objects.owned_by(self.request.user).prefetch_related("graph").defer("outputs")

    @described()
    @action(detail=False, methods=["post"])
    def cancel(self, request: Request) -> Response:
        """Stop all that match and go on, with all that they have started."""
        return self._carry_out(request, Action.CANCEL, services.cancel)

    @described()
    @action(detail=False, methods=["post"])
    def pause(self, request: Request) -> Response:
        """Begin nothing more of all that match and go on."""
        return self._carry_out(request, Action.PAUSE, services.pause)

    @described()
    @action(detail=False, methods=["post"])
    def resume(self, request: Request) -> Response:
        """Go on with all that match and are paused."""
        return self._carry_out(request, Action.RESUME, services.resume)

    @described(parameters=[IDEMPOTENCY_KEY])
    @action(detail=False, methods=["post"])
    def retry(self, request: Request) -> Response:
        """Go on from what failed of all that match and did not succeed. Those that somebody has gone on from already are left out."""
        owner_id = cast(int, request.user.pk)
        if (key := request.headers.get(once.HEADER)) is not None:
            once.check_key(key)
        return self._carry_out(request, Action.RETRY, partial(_retry, owner_id=owner_id, key=key))

    def _carry_out(self, request: Request, action: Action, act: bulk.Act) -> Response:
        ask = BulkSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        _refuse_everything(request.query_params)
        matching = cast(ExecutionQuerySet, self.filter_queryset(self.get_queryset()))
        found = bulk.candidates(action, matching)
        count, is_preview = bulk.count(found), ask.validated_data["preview"]
        done = [] if is_preview else bulk.carry_out(act, found, limit=ask.validated_data["limit"])
        failed = sum(one.error is not None for one in done)
        told = {"matching": count, "done": len(done) - failed, "failed": failed, "results": done}
        return Response(BulkDoneSerializer(told | {"is_preview": is_preview}).data)


def _refuse_everything(asked: QueryDict) -> None:
    """See to it that a filter is asked for, and none that there is not: a slip of the pen must not mean all of them.

    Raises:
        ValidationError: that is not so.
    """
    known = ExecutionFilter.base_filters
    if unknown := sorted(set(asked) - set(known)):
        raise ValidationError({unknown[0]: "There is no such filter."}, code="unknown")
    if not asked:
        raise ValidationError(f"Say which, by one of: {', '.join(known)}.", code="filter_missing")


def _retry(execution: Execution, *, owner_id: int, key: str | None) -> Execution:
    retry = partial(services.retry, execution, Ask(), owner_id=owner_id)
    if key is None:
        return retry()
    # One key stands for many starts: each has its own of it.
    own_key = hashlib.sha256(f"{key} {execution.pk}".encode()).hexdigest()
    digest = once.digest_of(f"retry {execution.pk} with others", None)
    return start_once(own_key, digest, partial(_as, retry), owner_id=owner_id)[0]


def _as(retry: Callable[..., Execution], execution_id: UUID) -> Execution:
    return retry(execution_id=execution_id)


router = SimpleRouter()
router.register("executions/bulk", BulkViewSet, basename="bulk")
