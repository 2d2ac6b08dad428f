"""The database that histories run on in memory does the same as the real one: the same calls, call by call, on both.

Without this, `tests/unit/executions/engine/test_durable.py` would prove something of rules that nobody keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import pytest
from django.db.models import F
from django.db.models.functions import Now

from blocks.sdk.waiting import WaitFor
from executions import leases, statements, stopped, stopping, waits
from executions.batch import Batch, Ended, Settled
from executions.engine.compile import Items, Lane
from executions.engine.items import Path
from executions.engine.plan import Plan
from executions.engine.progress import Closed
from executions.engine.spec import LinkSpec
from executions.engine.status import FINAL, NODE_FINAL, NodeStatus
from executions.engine.waits import WaitKind
from executions.errors import AlreadyFinished, NotRunning
from executions.leases import Claim, Wanted
from executions.messages import Work
from executions.models import Execution, NodeExecution, Wait
from executions.plans import plan_of
from executions.rest import rest_if_idle
from executions.settle import settle, stop_if_idle
from executions.snapshot import Snapshot, look
from graphs.models import GraphVersion
from tests.blocks import node
from tests.durable.clock import Clock
from tests.durable.database import GRACE_S, LEASE_S, Database
from tests.durable.kept import Kept, Row, cut_finer
from tests.factories import make_ended, make_execution, make_published
from tests.scale import many

pytestmark = pytest.mark.django_db

T = TypeVar("T")

CALLS = 60
PATHS: tuple[Path, ...] = ((), (0,))
PAUSES_S = (1.0, GRACE_S, LEASE_S, 2 * LEASE_S + 1.0)
SETTLED = ("done", "is_stopping", "is_paused", "is_final", "is_cancelling", "has_waits")


@pytest.fixture(autouse=True)
def _same_time(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AGENTPLATFORM_LEASE_S, settings.AGENTPLATFORM_RECONCILE_S = LEASE_S, GRACE_S
    # Within the one transaction of a test, time stands still for the statements of sql/; so that it does for the ORM's too.
    monkeypatch.setattr(Now, "as_postgresql", Now.as_sql)
    monkeypatch.setattr(Now, "template", "NOW()")
    monkeypatch.setattr(stopping, "follow_up", lambda settled: None)


def published() -> GraphVersion:
    """Return a graph with a segment that waits, one after it, and one beside them."""
    nodes = [
        node("a", "test.echo-io", input=1),
        node("b", "test.echo-cpu"),
        node("c", "test.output", name="answer"),
        node("d", "test.echo-io", input=2, on_error="continue"),
    ]
    return make_published(nodes, [LinkSpec("a", "output", "b", "input"), LinkSpec("b", "output", "c", "input")])


@dataclass
class Both:
    """The same executions in both."""

    chance: Random
    model: Database
    plan: Plan
    ids: list[UUID] = field(default_factory=list)
    #: Each with the one in memory that stands for it.
    claims: list[tuple[Claim, Claim]] = field(default_factory=list)
    #: What was asked for last, and by whom: the answer may be lost.
    asked: tuple[dict[UUID, list[Wanted]], str] | None = None

    def one(self, options: Iterable[T]) -> T:
        return self.chance.choice(list(options))

    def some(self, options: Iterable[T], most: int = 3) -> list[T]:
        given = list(options)
        return self.chance.sample(given, self.chance.randint(0, min(most, len(given))))

    def claim(self) -> None:
        wanted = {
            execution_id: [Wanted(node.key, path, {"n": 1}) for node in self.some(self.plan.nodes) for path in PATHS]
            for execution_id in self.some(self.ids) or self.ids
        }
        self._claim(wanted, self.one(["w1", "w2"]))

    def claim_again(self) -> None:
        if self.asked:
            self._claim(*self.asked)

    def _claim(self, wanted: dict[UUID, list[Wanted]], worker: str) -> None:
        self.asked = wanted, worker
        real, model = leases.claim(wanted, worker=worker), self.model.claim(wanted, worker=worker)
        for execution_id, granted in real.items():
            theirs = {(claim.node_key, claim.path): claim for claim in model[execution_id]}
            same(
                {(claim.node_key, claim.path): shown_claim(claim) for claim in granted},
                {place: shown_claim(claim) for place, claim in theirs.items()},
            )
            self.claims += [(claim, theirs[claim.node_key, claim.path]) for claim in granted]

    def renew(self) -> None:
        pairs = self.some(self.claims, 6)
        real, model = leases.renew([real for real, _ in pairs]), self.model.renew([model for _, model in pairs])
        same([real.get(one) for one, _ in pairs], [model.get(one) for _, one in pairs])

    def give_up(self) -> None:
        pairs = self.some(self.claims, 2)
        leases.give_up([real for real, _ in pairs])
        self.model.give_up([model for _, model in pairs])

    def hand_back(self) -> None:
        pairs = self.some(self.claims, 2)
        leases.hand_back([real for real, _ in pairs], pause_s=2.0)
        self.model.hand_back([model for _, model in pairs], pause_s=2.0)

    def vouch(self) -> None:
        pairs = self.some(self.claims, 6)
        real, model = leases.vouch([real for real, _ in pairs]), self.model.vouch([model for _, model in pairs])
        same([one in real for one, _ in pairs], [one in model for _, one in pairs])

    def blame(self) -> None:
        pairs = self.some(self.claims, 4)
        leases.blame([real for real, _ in pairs])
        self.model.blame([model for _, model in pairs])

    def settle(self) -> None:
        batches = [self._batches(execution_id) for execution_id in self.some(self.ids) or self.ids[:1]]
        real, model = settle([real for real, _ in batches]), self.model.settle([model for _, model in batches])
        same(list(map(shown, real)), list(map(shown, model)))

    def stop_if_idle(self) -> None:
        batch = Batch(self.one(self.ids), self.plan, "w1")
        same(attempted(lambda: stop_if_idle(batch)), attempted(lambda: self.model.stop_if_idle(batch)))

    def rest_if_idle(self) -> None:
        execution_id = self.one(self.ids)
        same(rest_if_idle(execution_id), self.model.rest_if_idle(execution_id, self.plan))

    def look(self) -> None:
        segments = self.some(range(5)) or [0]
        items = self.one([None, None, Items(self.one(range(len(self.plan.nodes))), 0, 1)])
        work = Work(self.one(self.ids), Lane("default", tuple(segments), items=items))
        same(shown_snapshot(look([work])[0]), shown_snapshot(self.model.look(work, self.plan)))

    def held(self) -> None:
        execution_id, key = self.one(self.ids), self.one(self.plan.nodes).key
        same(leases.held(execution_id, key), self.model.held(execution_id, key))

    def find_stuck(self) -> None:
        in_line = self.one([False, True])
        real = asked("stuck", grace=timedelta(seconds=GRACE_S), patience=4.0 if in_line else 1.0, limit=100)
        same(real, set(self.model.stuck(in_line=in_line)))

    def find_due(self) -> None:
        same(asked("due", grace=timedelta(seconds=GRACE_S), limit=100), set(self.model.due()))

    def time_out(self) -> None:
        same(set(waits.time_out()), set(self.model.time_out()))

    def answer(self) -> None:
        if not (found := list(Wait.objects.filter(execution_id__in=self.ids).order_by("id"))):
            return
        wait = self.one(found)
        place = wait.node_key, tuple(wait.item_path)
        same(
            waits._close(wait, answer={"approved": True}, comment="", answered_at=Now()),
            self.model.answer(wait.execution_id, place, wait.call_key, {"approved": True}),
        )

    def pause(self) -> None:
        execution_id = self.one(self.ids)
        attempted(lambda: stopping.pause(Execution(pk=execution_id)))
        self.model.set_paused(execution_id, is_paused=True)

    def resume(self) -> None:
        execution_id = self.one(self.ids)
        attempted(lambda: stopping.resume(Execution(pk=execution_id)))
        self.model.set_paused(execution_id, is_paused=False)

    def cancel(self) -> None:
        execution_id = self.one(self.ids)
        stopping.cancel_all([execution_id])
        self.model.stop(execution_id)

    def end_stopped(self) -> None:
        stopped.end(self.ids)
        self.model.end_stopped()

    def let_time_pass(self) -> None:
        seconds = self.one(PAUSES_S)
        self.model.clock.now += seconds
        shift = timedelta(seconds=seconds)
        firings = NodeExecution.objects.filter(execution_id__in=self.ids).exclude(status__in=NODE_FINAL)
        firings.update(lease_expires_at=F("lease_expires_at") - shift, due_at=F("due_at") - shift)
        Wait.objects.filter(execution_id__in=self.ids).update(due_at=F("due_at") - shift)
        going = Execution.objects.filter(pk__in=self.ids).exclude(status__in=FINAL)
        going.update(launched_at=F("launched_at") - shift)

    def compare(self) -> None:
        """Compare all that is stored."""
        moment = Execution.objects.values_list(Now(), flat=True)[0]
        for execution_id in self.ids:
            kept = self.model.kept[execution_id]
            execution = Execution.objects.get(pk=execution_id)
            same(shown_execution(execution, moment), shown_kept(kept, self.model.clock.now))
            firings = NodeExecution.objects.filter(execution_id=execution_id)
            same(
                {(row.node_key, tuple(row.item_path)): shown_firing(row, moment) for row in firings},
                {place: shown_firing(row, self.model.clock.now) for place, row in kept.rows.items()},
            )
            found = Wait.objects.filter(execution_id=execution_id)
            same(
                {((row.node_key, tuple(row.item_path)), row.call_key): (row.kind, row.status) for row in found},
                {place: (wait.kind, wait.status) for place, wait in kept.waits.items()},
            )

    def _batches(self, execution_id: UUID) -> tuple[Batch, Batch]:
        """Return what a worker has to write, for here and there: anything, also what it never would."""
        pairs = {
            (real.node_key, real.path): (real, model)
            for real, model in self.some((pair for pair in self.claims if pair[0].execution_id == execution_id), 4)
        }
        ended = [self._ended(*pair) for pair in pairs.values()]
        free = [(node, path) for node in self.plan.nodes for path in PATHS if (node.key, path) not in pairs]
        for here, path in self.some(free, 1):
            claim = Claim(execution_id, here.key, path, 0, 1)
            one = make_ended(self.plan, claim, inputs={"n": 2})
            one.claim = None
            ended.append((one, one))
        closed = [
            Closed(node.index, path, NodeStatus.SKIPPED)
            for node, path in self.some(free, 1)
            if (node.key, path) not in {(one.node_key, one.path) for one, _ in ended}
        ]
        segments = self.some(range(len(self.plan.segments)), 2)
        done_before = frozenset(self.some(range(len(self.plan.segments))))
        real, model = (
            Batch(
                execution_id,
                self.plan,
                "w1",
                ended=[pair[side] for pair in ended],
                closed=closed,
                segments=segments,
                done_before=done_before,
            )
            for side in (0, 1)
        )
        return real, model

    def _ended(self, real: Claim, model: Claim) -> tuple[Ended, Ended]:
        """Return how a claimed firing ended, for here and there."""
        way = self.one(["ok", "ok", "fatal", "handled", "later", "wait", "cancelled"])
        wait = WaitFor(WaitKind.APPROVAL, f"wait-{self.one(range(2))}")
        due_in_s = self.one([0.0, 3.0, 30.0])
        if self.one([True, False]):
            wait = replace(wait, kind=WaitKind.TIMER, due_in_s=due_in_s)

        def made(claim: Claim) -> Ended:
            if way == "ok":
                return make_ended(self.plan, claim, outputs={"output": [claim.node_key]})
            if way == "wait":
                return make_ended(self.plan, claim, NodeStatus.WAITING, wait=wait)
            if way == "cancelled":
                return make_ended(self.plan, claim, NodeStatus.CANCELLED)
            failed = make_ended(self.plan, claim, NodeStatus.FAILED, error={"code": "NO"}, attempt=claim.attempt)
            failed.is_fatal = way == "fatal"
            return failed.postponed(due_in_s) if way == "later" else failed

        return made(real), made(model)


#: How likely each call is.
WEIGHTS: dict[Callable[[Both], None], int] = {
    Both.claim: 12,
    Both.claim_again: 2,
    Both.vouch: 3,
    Both.settle: 10,
    Both.let_time_pass: 6,
    Both.renew: 3,
    Both.give_up: 2,
    Both.hand_back: 1,
    Both.blame: 1,
    Both.look: 2,
    Both.held: 1,
    Both.stop_if_idle: 1,
    Both.rest_if_idle: 3,
    Both.find_stuck: 2,
    Both.find_due: 2,
    Both.time_out: 2,
    Both.answer: 3,
    Both.pause: 1,
    Both.resume: 2,
    Both.cancel: 1,
    Both.end_stopped: 1,
}


def begin(seed: int, version: GraphVersion) -> Both:
    """Insert an execution that is counted by the cut of today, and one that a worker of another release has begun."""
    plan = plan_of(version.pk)
    both = Both(Random(seed), Database(Clock()), plan)
    for its_plan in (plan, cut_finer(plan)):
        execution = make_execution(version, plan_mark=its_plan.mark, launches=1)
        Execution.objects.filter(pk=execution.pk).update(launched_at=Now())
        both.model.insert(Kept(execution.pk, its_plan, {}))
        both.ids.append(execution.pk)
    return both


def run(seeds: Iterable[int]) -> None:
    """Make the same calls on both, and compare what they answer and what is stored after each."""
    version = published()
    for seed in seeds:
        both = begin(seed, version)
        for number, call in enumerate(both.chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=CALLS)):
            try:
                call(both)
                both.compare()
            except Exception as error:
                error.add_note(f"seed {seed}, call {number}: {call.__name__}")
                raise
        # They would be found stuck beside those of the next seed.
        stopping.cancel_all(both.ids)
        both.let_time_pass()
        NodeExecution.objects.filter(execution_id__in=both.ids).delete()
        Execution.objects.filter(pk__in=both.ids).delete()


def same(real: object, model: object) -> None:
    assert real == model


def attempted(call: Callable[[], Any]) -> Any:
    try:
        return shown(call())
    except (NotRunning, AlreadyFinished) as error:
        return type(error)


def asked(statement: str, **values: Any) -> set[UUID]:
    with statements.cursor() as cursor:
        statements.run(cursor, statement, **values)
        return {execution_id for (execution_id,) in cursor}


def shown(settled: Any) -> Any:
    if isinstance(settled, Settled):
        return {name: getattr(settled, name) for name in SETTLED}
    return type(settled)


def shown_claim(claim: Claim) -> Any:
    return claim.attempt, claim.crashes, claim.losses, claim.waits, dict(claim.spent), claim.spent_microcredits


def shown_snapshot(seen: Snapshot | None) -> Any:
    return seen and (seen.done, {place: (o.status, o.outputs) for place, o in seen.known.items()}, seen.is_stopping)


def shown_execution(execution: Execution, moment: datetime) -> Any:
    return {
        "status": execution.status,
        "is_stopping": execution.is_stopping,
        "is_paused": execution.is_paused,
        "error": (execution.error_code, execution.error_node),
        "outputs": execution.outputs,
        "done": sorted(execution.segments_done),
        "launched": (since(execution.launched_at, moment), execution.launches) if not execution.is_final else None,
    }


def shown_kept(kept: Kept, moment: float) -> Any:
    return {
        "status": kept.status,
        "is_stopping": kept.is_stopping,
        "is_paused": kept.is_paused,
        "error": (kept.error_code, kept.error_node),
        "outputs": kept.outputs,
        "done": sorted(kept.done),
        "launched": (since(kept.launched_at, moment), kept.launches) if not kept.is_final else None,
    }


def shown_firing(row: Any, moment: Any) -> Any:
    return {
        "status": row.status,
        "attempt": row.attempt,
        "crashes": row.crashes,
        "losses": len(row.lost if isinstance(row, Row) else row.lost_fences or ()),
        "is_to_blame": row.is_to_blame,
        "waits": row.waits,
        "lease": since(row.lease_expires_at, moment),
        "due": since(row.due_at, moment),
        "worker": row.worker,
        "outputs": row.outputs,
        "error": row.error_code,
        "history": len(row.history),
        "has_fence": row.fence > 0,
    }


def since(then: Any, moment: Any) -> float | None:
    if then is None:
        return None
    return then - moment if isinstance(moment, float) else (then - moment).total_seconds()


def test_a_few_sequences_of_calls_do_the_same():
    run(range(3))


@pytest.mark.slow
def test_many_sequences_of_calls_do_the_same():
    run(range(100, 100 + many(14)))
