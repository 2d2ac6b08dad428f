"""The API of money: what you have, where it went, what you allow, and what something would cost."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import django_filters
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from agentplatform.lib.etags import Removable
from agentplatform.lib.paging import PagesById
from executions import export, ledger, own_budgets, reports, services
from executions.engine.money import BudgetPeriod, BudgetScope, EntryKind
from executions.filters import _Moment, _OneOf
from executions.models import Budget, BudgetQuerySet, LedgerEntry, LedgerEntryQuerySet
from executions.serializers.money import (
    BalanceSerializer,
    BudgetSerializer,
    EntrySerializer,
    EstimateSerializer,
    LimitSerializer,
    ReportAskSerializer,
    UsedSerializer,
)
from graphs import services as graph_services
from graphs.models import Graph, GraphVersion

MOST_VERSION = 2**31 - 1


class NewestByNumber(PagesById):
    """Pages by a number that grows, the newest first."""

    ordering = "-id"
    read_id = int


class LedgerFilter(django_filters.FilterSet):
    """Find transfers by why, for what and when."""

    kind = _OneOf(choices=[(kind.value, kind.value) for kind in EntryKind], help_text="May be given several times.")
    execution = django_filters.UUIDFilter(field_name="execution_id")
    graph = django_filters.UUIDFilter(field_name="graph_id")
    created_after = _Moment("created_at", "gte", help_text="At this moment or later.")
    created_before = _Moment("created_at", "lt", help_text="Earlier than this moment.")

    class Meta:
        model = LedgerEntry
        fields: list[str] = []


@extend_schema(tags=["money"])
class LedgerViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[LedgerEntry]):
    """Your account: every transfer, the newest first."""

    scopes: ClassVar = {"read": "money:read"}
    filterset_class = LedgerFilter
    pagination_class = NewestByNumber
    serializer_class = EntrySerializer
    lookup_value_regex = "[0-9]{1,18}"
    queryset = LedgerEntry.objects.none()

    def get_queryset(self) -> LedgerEntryQuerySet:
        mine = LedgerEntry.objects.owned_by(self.request.user)  # another's id is a 404
        return mine.prefetch_related("debit", "credit").order_by("-id")

    @extend_schema(responses=BalanceSerializer, filters=False)
    @action(detail=False, filter_backends=[], pagination_class=None)
    def balance(self, request: Request) -> Response:
        """Say what you have, what is held of it, and what you can still spend."""
        return Response(BalanceSerializer(ledger.balance_of(_user_id(request))).data)

    @extend_schema(parameters=[ReportAskSerializer], responses=UsedSerializer(many=True), filters=False)
    @action(detail=False, filter_backends=[], pagination_class=None)
    def costs(self, request: Request) -> Response:
        """Add up what you have used by day, graph, node or execution; a year at most, and the first thousand rows."""
        ask = ReportAskSerializer(data=request.query_params)
        ask.is_valid(raise_exception=True)
        asked = ask.validated_data
        span = reports.Span.of(asked.get("since"), asked.get("until"))
        rows = reports.used(reports.By(asked["by"]), span, owner_id=_user_id(request), graph_id=asked.get("graph"))
        return Response(UsedSerializer(rows, many=True).data)

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    @action(detail=False, pagination_class=None)
    def export(self, request: Request) -> StreamingHttpResponse:
        """Return what the list would show as CSV, all of it."""
        entries = self.filter_queryset(self.get_queryset())
        return export.as_download(cast(LedgerEntryQuerySet, entries))


@extend_schema(tags=["money"])
class BudgetViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Removable):
    """Limits that you set to what your executions may cost."""

    scopes: ClassVar = {"read": "money:read", "write": "money:write"}
    by_itself = frozenset({"spent", "held", "remaining"})
    pagination_class = NewestByNumber
    serializer_class = BudgetSerializer
    filterset_fields = ["scope", "scope_id", "period"]
    lookup_value_regex = "[0-9]{1,18}"
    queryset = Budget.objects.none()

    def get_queryset(self) -> BudgetQuerySet:
        return Budget.objects.owned_by(self.request.user).order_by("-id")

    @extend_schema(responses={201: BudgetSerializer})
    def create(self, request: Request) -> Response:
        """Set a limit, in the place of one of this period if there is one.

        An execution that would go beyond it stops as `BUDGET_EXCEEDED`, and can be retried from there.
        """
        ask = BudgetSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        asked = ask.validated_data
        budget = own_budgets.limit_own(
            owner_id=_user_id(request),
            scope=BudgetScope(asked["scope"]),
            scope_id=asked["scope_id"],
            period=BudgetPeriod(asked["period"]),
            limit_microcredits=asked["limit_microcredits"],
        )
        return Response(BudgetSerializer(budget).data, status.HTTP_201_CREATED)

    @extend_schema(request=LimitSerializer, responses=BudgetSerializer)
    def partial_update(self, request: Request, pk: str | None = None) -> Response:
        """Set another limit; what was spent stays spent."""
        ask = LimitSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        with self.edited() as budget:
            budget = own_budgets.change(budget, **ask.validated_data)
        return Response(BudgetSerializer(budget).data)

    def perform_destroy(self, instance: Budget) -> None:
        own_budgets.lift(instance)


@extend_schema(tags=["money"])
class EstimateViewSet(viewsets.GenericViewSet[Graph]):
    """What an execution of a graph is likely to cost."""

    scopes: ClassVar = {"read": "graphs:read"}
    pagination_class = None
    filter_backends = ()
    serializer_class = EstimateSerializer
    queryset = Graph.objects.none()

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "version",
                {"type": "integer", "minimum": 1, "maximum": MOST_VERSION},
                description="The number of a published version; else the latest.",
            ),
            OpenApiParameter("graph_id", OpenApiTypes.UUID, OpenApiParameter.PATH),
        ],
        responses=OpenApiResponse(EstimateSerializer, "By what it cost before, or by the prices where it never ran."),
    )
    def list(self, request: Request, graph_id: str) -> Response:
        """Say what an execution is likely to cost, before it is started."""
        ask = _VersionAsk(data=request.query_params)
        ask.is_valid(raise_exception=True)
        graph = get_object_or_404(Graph.objects.owned_by(request.user), pk=graph_id)
        return Response(EstimateSerializer(services.estimate(_version(graph, ask.validated_data).pk)).data)


class _VersionAsk(serializers.Serializer[Any]):
    version = serializers.IntegerField(required=False, min_value=1, max_value=MOST_VERSION)


def _version(graph: Graph, asked: dict[str, Any]) -> GraphVersion:
    if "version" not in asked:
        return graph_services.latest_version(graph)
    return get_object_or_404(graph.versions.published(), number=asked["version"])


def _user_id(request: Request) -> int:
    return cast(int, request.user.pk)  # nobody else gets past the permission


router = SimpleRouter()
router.register("ledger", LedgerViewSet, basename="ledger")
router.register("budgets", BudgetViewSet, basename="budget")
router.register("graphs/(?P<graph_id>[^/.]+)/estimate", EstimateViewSet, basename="estimate")
