"""By what executions are found: in the API, in the console and by what is done with many at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters.fields import IsoDateTimeField

from agentplatform.lib.ids import first_id_at
from executions.engine.status import FINAL, NodeStatus, Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.models import Execution, NodeExecution, Wait
from files.models import FileUse

#: Of open waits that fit a filter.
MOST_FOUND = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _OneOf(django_filters.MultipleChoiceFilter):
    """One of several values of a column: no row comes twice, so none has to be compared with all others."""

    def __init__(self, **options: Any) -> None:
        super().__init__(distinct=False, **options)


class _MomentField(IsoDateTimeField):
    def to_python(self, value: Any) -> Any:
        """Return a moment.

        Raises:
            ValidationError: it lies before the first or after the last day there is in UTC.
        """
        moment = super().to_python(value)
        try:
            return moment and moment.astimezone(UTC)
        except (OverflowError, ValueError):
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None


class _Moment(django_filters.IsoDateTimeFilter):
    """A moment, in any zone."""

    field_class = _MomentField


#: What may be needed to go on, by how it is asked for. A pause is none of the waits: it needs somebody to resume.
NEEDS: Mapping[str, WaitKind | None] = {
    "decision": WaitKind.DECISION,
    "approval": WaitKind.APPROVAL,
    "event": WaitKind.EVENT,
    "timer": WaitKind.TIMER,
    "resume": None,
}


class ExecutionFilter(django_filters.FilterSet):
    """Find executions by where they stand, what they run, where they come from, and when they were asked for."""

    status = _OneOf(
        choices=[(status.value, status.value) for status in Status], help_text="May be given several times."
    )
    graph = django_filters.UUIDFilter(field_name="graph_id")
    version = django_filters.UUIDFilter(field_name="version_id")
    needs = django_filters.ChoiceFilter(
        choices=[(need, need) for need in NEEDS],
        method="need",
        help_text="What it takes to go on: among the newest thousand that wait for such a thing.",
    )
    parent_execution = django_filters.UUIDFilter(field_name="parent_id", help_text="Its sub-graphs.")
    retried_from = django_filters.UUIDFilter(field_name="retried_from_id", help_text="What went on from it.")
    file = django_filters.UUIDFilter(
        method="use_file", help_text="Those that were given it, or have read or written it."
    )
    created_after = _Moment(method="begin_at", help_text="At this moment or later.")
    created_before = _Moment(method="stop_at", help_text="Earlier than this moment.")

    class Meta:
        model = Execution
        fields: list[str] = []

    def need(self, executions: QuerySet[Execution], name: str, what: str) -> QuerySet[Execution]:
        """Leave out what does not need this."""
        kind = NEEDS[what]
        if kind is None:
            return executions.filter(is_paused=True).exclude(status__in=FINAL)
        waits = Wait.objects.open().filter(kind=kind).order_by("-id")
        if (user := getattr(self.request, "user", None)) is not None:
            waits = waits.filter(owner_id=user.pk)
        # Found first: joined to the executions, all of those might be walked through for a few.
        return executions.filter(pk__in=list(waits.values_list("execution_id", flat=True)[:MOST_FOUND]))

    def use_file(self, executions: QuerySet[Execution], name: str, file_id: UUID) -> QuerySet[Execution]:
        """Leave out what does not use a file."""
        return executions.filter(pk__in=FileUse.objects.filter(file_id=file_id).values("execution_id"))

    # An id is also a time of birth: asked that way, only the partitions of these months are read.

    def begin_at(self, executions: QuerySet[Execution], name: str, moment: datetime) -> QuerySet[Execution]:
        """Leave out what is older."""
        return executions.filter(id__gte=first_id_at(max(moment, EPOCH)))

    def stop_at(self, executions: QuerySet[Execution], name: str, moment: datetime) -> QuerySet[Execution]:
        """Leave out what is newer."""
        return executions.filter(id__lt=first_id_at(max(moment, EPOCH)))


class NodeExecutionFilter(django_filters.FilterSet):
    """Find the firings of one node, or those that ended alike."""

    node = django_filters.CharFilter(field_name="node_key", help_text="The key of a node.")
    status = _OneOf(
        choices=[(status.value, status.value) for status in NodeStatus], help_text="May be given several times."
    )

    class Meta:
        model = NodeExecution
        fields: list[str] = []


class WaitFilter(django_filters.FilterSet):
    """Find what waits, or has waited."""

    status = _OneOf(
        choices=[(status.value, status.value) for status in WaitStatus], help_text="May be given several times."
    )
    kind = _OneOf(choices=[(kind.value, kind.value) for kind in WaitKind], help_text="May be given several times.")

    class Meta:
        model = Wait
        fields: list[str] = []


class ApprovalFilter(WaitFilter):
    """Find what people are asked: what is still open, unless another status is named."""

    execution = django_filters.UUIDFilter(field_name="execution_id")

    def filter_queryset(self, queryset: QuerySet[Wait]) -> QuerySet[Wait]:
        """Leave out what is closed, unless that is asked for."""
        found = super().filter_queryset(queryset)
        return found if self.form.cleaned_data["status"] else found.filter(status=WaitStatus.OPEN)
