"""What the ledger costs: settling firings that cost something beside firings that do not, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from benchmarks.cases import Case
from benchmarks.system import WrongResult

if TYPE_CHECKING:
    from executions.batch import Batch

HELD, COST = 100, 70
REPEATS = 20


class Settling:
    """Settles claimed firings, some executions one after the other; what is claimed for the next time is not timed."""

    def __init__(self, name: str, *, is_paid: bool) -> None:
        self.name = name
        self.is_paid = is_paid
        self._versions: dict[str, UUID] = {}
        self._batches: list[Batch] = []
        self._owner_id = 0

    def prepare(self, case: Case) -> None:
        """Publish a graph of so many nodes that wait, and claim them."""
        from django.contrib.auth import get_user_model

        from benchmarks.graphs import document_of
        from graphs import services

        self._owner_id = get_user_model()._default_manager.create(username=f"{self.name} of {case.name}").pk
        graph = services.create(owner_id=self._owner_id, document=document_of(case))
        self._versions[case.name] = services.publish(graph).pk
        self._claim(case)

    def run_once(self, case: Case) -> None:
        """Settle them, each execution in a transaction of its own."""
        from executions.settle import settle

        for batch in self._batches:
            (answer,) = settle([batch])
            if isinstance(answer, Exception):
                raise answer

    def verify(self, case: Case) -> None:
        """Add up what was paid, and claim for the next run."""
        from django.db.models import Sum

        from executions.models import LedgerEntry

        ids = [batch.execution_id for batch in self._batches]
        paid = LedgerEntry.objects.filter(execution_id__in=ids, kind="SETTLE").aggregate(sum=Sum("amount_microcredits"))
        expected = COST * case.size * REPEATS if self.is_paid else None
        if paid["sum"] != expected:
            raise WrongResult(f"{self.name} has paid {paid['sum']} for {case.name}, not {expected}.")
        self._claim(case)

    def rss_mb(self) -> float:
        """Return nothing: there is no process besides this one."""
        return 0.0

    def close(self) -> None:
        """Leave the connection to the end of the process."""

    def _claim(self, case: Case) -> None:
        from executions import leases
        from executions.batch import Batch
        from executions.leases import Wanted
        from executions.models import Execution
        from executions.plans import plan_of

        version_id = self._versions[case.name]
        plan = plan_of(version_id)
        nodes = [node for node in plan.nodes if node.key.startswith("branch")]
        self._batches = []
        for _ in range(REPEATS):
            execution = Execution.objects.create(
                graph_id=_graph_of(version_id), version_id=version_id, owner_id=self._owner_id
            )
            hold = HELD if self.is_paid else 0
            wanted = [Wanted(node.key, (), {}, hold_microcredits=hold) for node in nodes]
            (claims,) = leases.claim({execution.pk: wanted}, worker="bench").values()
            ended = [_ended(plan, claim, COST if self.is_paid else 0) for claim in claims]
            self._batches.append(Batch(execution.pk, plan, "bench", ended=ended))


def _graph_of(version_id: UUID) -> UUID:
    from graphs.models import GraphVersion

    return GraphVersion.objects.values_list("graph_id", flat=True).get(pk=version_id)


def _ended(plan: Any, claim: Any, cost: int) -> Any:
    from agentplatform.lib.clock import now
    from executions.batch import Ended
    from executions.engine.items import Outcome
    from executions.engine.status import NodeStatus

    moment = now()
    return Ended(
        node=plan.index_of[claim.node_key],
        node_key=claim.node_key,
        path=claim.path,
        outcome=Outcome(NodeStatus.SUCCEEDED, {"output": [1]}),
        claim=claim,
        inputs={},
        error={},
        usage={"input_tokens": 100, "output_tokens": 20},
        cost_microcredits=cost,
        queued_at=moment,
        started_at=moment,
        ended_at=moment,
    )
