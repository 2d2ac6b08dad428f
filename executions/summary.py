"""How the platform is doing: the few numbers of the console's first page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Sum

from agentplatform.lib.ids import first_id_at
from executions.engine.status import Status
from executions.models import Execution, Wait
from executions.models.wait import FOR_PEOPLE

LATEST = 10


@dataclass(frozen=True, slots=True)
class Summary:
    """What has happened since a moment, and what goes on now."""

    counts: Mapping[Status, int]
    cost_microcredits: int
    #: Stand in line until there is room for them.
    in_line: int
    #: Admitted, and not begun by a worker yet.
    queued: int
    running: int
    #: What waits for people to answer.
    to_answer: int
    latest: list[Execution]

    @property
    def total(self) -> int:
        """Return how many executions were asked for."""
        return sum(self.counts.values())


def summarize(*, since: datetime) -> Summary:
    """Return the numbers of all owners' executions: those asked for since then, those in flight, and the latest."""
    # An id is also a time of birth: only the partitions of these months are read.
    recent = Execution.objects.filter(id__gte=first_id_at(since)).order_by()
    by_status = list(recent.values_list("status").annotate(count=Count("*"), cost=Sum("cost_microcredits")))
    going = Execution.objects.filter(status__in=[Status.QUEUED.value, Status.RUNNING.value], launched_at__isnull=False)
    in_flight = dict(going.order_by().values_list("status").annotate(count=Count("*")))
    latest = Execution.objects.prefetch_related("version__graph", "owner").defer("inputs", "outputs").order_by("-id")
    return Summary(
        counts={Status(status): count for status, count, _ in by_status},
        cost_microcredits=sum(cost for _, _, cost in by_status),
        in_line=Execution.objects.in_line().count(),
        queued=in_flight.get(Status.QUEUED, 0),
        running=in_flight.get(Status.RUNNING, 0),
        to_answer=Wait.objects.open().filter(kind__in=FOR_PEOPLE).count(),
        latest=list(latest[:LATEST]),
    )
