"""Everything that happens to executions in one history: messages, workers, people, time; and what goes wrong with each."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

from agentplatform.lib.errors import AppError
from blocks import registry
from blocks.sdk import Effects
from executions.decisions import Choice
from executions.engine.compile import Canvas, Chain, Lane, Limits, remaining
from executions.engine.plan import Plan, PlanNode, plan
from executions.engine.progress import Closed, Firing
from executions.engine.reuse import Earlier, reusable
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.firing import values_of
from executions.leases import Claim
from executions.messages import Work
from executions.needs import Needs
from executions.route import Route
from tests import reference
from tests.blocks import TEST_BLOCKS, number_of
from tests.durable.clock import Clock, VirtualLoop
from tests.durable.database import GRACE_S, LEASE_S, Database
from tests.durable.kept import Kept, Place, Row, cut_finer, ready_of
from tests.durable.laws import Laws
from tests.durable.probes import HISTORY_BLOCKS, Manner, Way, as_in_history, run_as_platform
from tests.durable.worker import Task, Worker
from tests.strategies import Drawn

#: A firing of a test block fails, or waits, at most so often by the history's choice.
MOST_FAILURES = MOST_WAITS = 2
#: Without further trouble every execution ends within so many rounds of reconcile; between two of them nothing goes round in circles.
MOST_ROUNDS, MOST_TURNS = 40, 2000


@dataclass(eq=False)
class Message:
    """A lane on its way to a worker."""

    work: Work
    then: Callable[[], None]


@dataclass(eq=False)
class Gate:
    """A block that has begun and is held."""

    execution_id: UUID
    place: Place
    worker: Worker
    context: Any
    future: asyncio.Future[Way]


@dataclass(frozen=True, slots=True)
class OpenWait:
    """What somebody has been asked."""

    execution_id: UUID
    place: Place
    call_key: str


@dataclass
class Script:
    """What the history has made of one firing so far."""

    failures: int = 0
    waits: list[WaitKind] = field(default_factory=list)


class InMemory(Route):
    """To the messages of a history."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def send(self, execution_id: UUID, canvases: Iterable[Canvas]) -> None:
        """Put lanes on their way."""
        self.world.send(execution_id, canvases)

    def limits(self) -> Limits:
        """Return how wide this history spreads work."""
        return self.world.limits


class World:
    """One history of some executions of one graph."""

    def __init__(self, drawn: Drawn, manners: Sequence[Manner], limits: Limits) -> None:
        registry.register(*TEST_BLOCKS, *HISTORY_BLOCKS)
        self.drawn = drawn
        self.limits = limits
        planned = plan(as_in_history(drawn.nodes, manners), drawn.links)
        #: The version as two releases cut it; the second comes with a deploy.
        self.plans = (planned, cut_finer(planned))
        self.release = 0
        self.clock = Clock()
        self.laws = Laws()
        self.database = Database(self.clock, self.laws.check)
        self.messages: list[Message] = []
        self.workers: list[Worker] = []
        self.dead: list[Worker] = []
        self.gates: list[Gate] = []
        self.scripts: dict[tuple[UUID, Place], Script] = defaultdict(Script)
        #: What people, or the platform, have asked to stop.
        self.stopped: set[UUID] = set()
        #: Those with an output that somebody decided on.
        self.made_up: set[UUID] = set()
        self.route = InMemory(self)
        self.is_over = False
        self._count = 0

    @property
    def plan(self) -> Plan:
        """Return the plan as the newest release makes it."""
        return self.plans[self.release]

    # What lanes and blocks ask for.

    def send(self, execution_id: UUID, canvases: Iterable[Canvas]) -> None:
        """Put lanes on their way, as Celery would: a chord's body after its header, a chain one by one."""
        for canvas in canvases:
            if isinstance(canvas, Lane):
                self._send(execution_id, canvas, lambda: None)
            elif isinstance(canvas, Chain):
                self._send_chain(execution_id, canvas.lanes)
            else:
                self._send_chord(execution_id, canvas.header, canvas.body)

    @contextmanager
    def running(self, context: Any, loop: VirtualLoop) -> Iterator[tuple[asyncio.Future[Way], list[WaitKind]]]:
        """Note that a block begins, and how it ends; give its gate, and the waits that it went through in earlier attempts."""
        begun = context.begun
        place, fence = (begun.node.key, begun.firing.path), begun.claim.fence
        is_once = begun.node.block.effects is Effects.AT_MOST_ONCE
        self.laws.begin(begun.execution_id, place, fence, is_once=is_once)
        worker = next(one for one in self.workers if one.loop is loop)
        gate = Gate(begun.execution_id, place, worker, context, loop.create_future())
        self.gates.append(gate)
        is_cut_short = False
        try:
            yield gate.future, self.scripts[begun.execution_id, place].waits
        except (asyncio.CancelledError, GeneratorExit):
            is_cut_short = True
            raise
        finally:
            self.gates = [one for one in self.gates if one is not gate]
            if not is_cut_short:
                self.laws.ended.add(fence)

    def is_to_fail(self, context: Any) -> bool:
        """Say whether a block that only computes fails this time: some do once, where that is repeated."""
        begun = context.begun
        script = self.scripts[begun.execution_id, (begun.node.key, begun.firing.path)]
        if begun.node.retry is None or script.failures or number_of([begun.node.key, begun.firing.path]) % 4:
            return False
        script.failures += 1
        return True

    def rest_if_idle(self, execution_id: UUID) -> bool:
        """Say that an execution waits, if it does."""
        return self.database.rest_if_idle(execution_id, self.plan)

    def give_up(self, claims: Sequence[Claim]) -> None:
        """Let leases run out, unless it is the lane of a dead worker that is only being cleared away."""
        if not self.is_over:
            self.database.give_up(claims)

    # What happens.

    def start(
        self, drawn: Drawn | None = None, *, rows: Mapping[Place, Row] | None = None, done: Sequence[int] = ()
    ) -> Kept:
        """Accept an execution, of which some rows and segments may stand from another, and send its first wave."""
        drawn = drawn or self.drawn
        self._count += 1
        kept = Kept(
            UUID(int=self._count),
            self.plan,
            drawn.inputs,
            launched_at=self.clock.now,
            rows=rows or {},
            done=tuple(done),
        )
        self.laws.expect(kept.id, drawn, reference.interpret(drawn.nodes, drawn.links, run_as_platform, drawn.inputs))
        self.database.insert(kept)
        self.launch([kept.id])
        return kept

    def retry(self, ended: Kept, *, from_node: str | None = None, with_other_inputs: bool = False) -> None:
        """Go on from an ended execution as a new one, as retrying.py does, if anything is left to run and nobody made up what ended."""
        if ended.id in self.made_up:
            return
        inputs = {name: f"other {value}" for name, value in ended.inputs.items()} if with_other_inputs else ended.inputs
        here = self.plan
        downstream = here.downstream(here.index_of[from_node]) if from_node else frozenset()
        reuse = reusable(
            here,
            before={
                place: Earlier(row.status, row.inputs, row.outcome)
                for place, row in ended.rows.items()
                if row.status is NodeStatus.SUCCEEDED
            },
            unchanged=None,
            excluded=frozenset(here.nodes[index].key for index in downstream),
            values_of=partial(_values, inputs=inputs),
        )
        if reuse.will_run:
            rows = {place: replace(ended.rows[place], fence=0) for place in reuse.reused} | rows_of(here, reuse.closed)
            self.start(replace(self.drawn, inputs=dict(inputs)), rows=rows, done=reuse.segments)

    def launch(self, execution_ids: Iterable[UUID]) -> None:
        """Look, compile, send."""
        for execution_id in execution_ids:
            kept = self.database.kept[execution_id]
            if not kept.is_final:
                self.send(execution_id, remaining(self.plan, kept.ended(self.plan), self.limits))

    def add_worker(self) -> Worker:
        """Start a worker."""
        self._count += 1
        worker = Worker(f"w{self._count}", self.clock, self.plan)
        self.workers.append(worker)
        return worker

    def deliver(self, message: Message, worker: Worker, *, is_copied: bool = False) -> None:
        """Give a message to a worker; a copy of it may come again."""
        if not is_copied:
            self.messages.remove(message)
        if worker.is_closing:
            self.send(message.work.execution_id, [replace(message.work.lane, covered=())])
            message.then()
            return
        worker.tasks.append(Task(worker, message.work, message.then, self.route))

    def step(self, task: Task, *, answer_is_lost: bool = False) -> None:
        """Answer what a lane needs. If the answer is lost, the worker asks once more."""
        if answer_is_lost and task.needs is not Needs.NEWS:
            task.ask(self.database)
        task.resume(task.ask(self.database))

    def settle_together(self, worker: Worker) -> None:
        """Write what several lanes of a worker have to write in one transaction."""
        tasks = worker.has_to_settle()
        answers = self.database.settle([task.request.value for task in tasks if task.request])
        for task, answer in zip(tasks, answers, strict=True):
            task.resume(answer)

    def open(self, gate: Gate, way: Way, kind: WaitKind = WaitKind.APPROVAL) -> None:
        """Let a block that is held go on, as far as it may fail or wait once more."""
        script = self.scripts[gate.execution_id, gate.place]
        if way is Way.FAIL and (script.failures >= MOST_FAILURES or gate.context.begun.node.retry is None):
            way = Way.END
        if way is Way.WAIT and len(script.waits) >= MOST_WAITS:
            way = Way.END
        if way is Way.FAIL:
            script.failures += 1
        if way is Way.WAIT:
            script.waits.append(kind)
        self.gates.remove(gate)
        gate.future.set_result(way)
        gate.worker.loop.turn()

    def crash(self, worker: Worker, *, after: Task | None = None) -> None:
        """Kill a worker, at the worst after the database has done what a lane asked for, and before that heard of it."""
        if after is not None and after.can_go_on and after.needs is not Needs.NEWS:
            after.ask(self.database)
        self.workers.remove(worker)
        self.dead.append(worker)
        self.gates = [gate for gate in self.gates if gate.worker is not worker]

    def crash_database(self) -> None:
        """Kill the database; when it is back, some claims and renewals are as if they had never been."""
        self.database.crash()
        for kept in self.database.all():
            self.laws.forget(kept)

    def tell_to_stop(self, worker: Worker) -> None:
        """Send a worker SIGTERM: it begins nothing more, and what it runs may end."""
        worker.is_closing = True

    def end_grace(self, worker: Worker) -> None:
        """Interrupt what a worker that was told to stop still runs."""
        worker.leave_all()

    def advance(self, seconds: float) -> None:
        """Let time go on, for every worker."""
        self.clock.now += seconds
        for worker in self.workers:
            worker.loop.turn()

    def reconcile(self) -> None:
        """Do what beat does every few seconds."""
        self.database.end_stopped()
        self.launch(
            [*self.database.time_out(), *self.database.due(), *self.database.stuck(in_line=bool(self.messages))]
        )

    def cancel(self, execution_id: UUID) -> None:
        """Ask an execution to stop."""
        self.stopped.add(execution_id)
        self.database.stop(execution_id)

    def stop(self, execution_id: UUID) -> None:
        """Stop an execution as the platform does, for a reason."""
        self.stopped.add(execution_id)
        self.database.stop(execution_id, "DURATION_EXCEEDED")

    def pause(self, execution_id: UUID) -> None:
        """Let nothing more begin for now."""
        self.database.set_paused(execution_id, is_paused=True)

    def resume(self, execution_id: UUID) -> None:
        """Let it go on."""
        if self.database.set_paused(execution_id, is_paused=False):
            self.launch([execution_id])

    def open_waits(self) -> list[OpenWait]:
        """Return what executions wait for, other than time."""
        return [
            OpenWait(kept.id, place, call_key)
            for kept in self.database.all()
            for (place, call_key), wait in kept.waits.items()
            if wait.status is WaitStatus.OPEN and wait.kind is not WaitKind.TIMER
        ]

    def answer(self, wait: OpenWait, choice: Choice = Choice.RUN_AGAIN) -> None:
        """Answer what somebody was asked, if nobody has done that yet."""
        is_decision = self.database.kept[wait.execution_id].waits[wait.place, wait.call_key].kind is WaitKind.DECISION
        answer = {"choice": choice, "outputs": {}} if is_decision else None
        if not self.database.answer(wait.execution_id, wait.place, wait.call_key, answer):
            return
        if is_decision and choice is Choice.RUN_AGAIN:
            self.laws.permitted[wait.execution_id, wait.place] += 1
        elif is_decision:
            self.made_up.add(wait.execution_id)
            self.laws.expect_nothing(wait.execution_id)
        self.launch([wait.execution_id])

    def deploy(self) -> None:
        """Bring the next release: new workers, and what sends, cut the plan otherwise. Workers of the old one live on."""
        self.release = 1

    # When the trouble is over.

    def heal(self) -> None:
        """Let everything go its way, and see that every execution comes to its end, and to the right one."""
        # The rollout ends too: workers of the old release finish what they have, and get nothing new.
        newest = self.add_worker()
        for kept in self.database.all():
            self.resume(kept.id)
        for _ in range(MOST_ROUNDS):
            self._pass_time(newest)
            self.reconcile()
            if not any(self._is_under_way(kept) for kept in self.database.all()):
                # Who lost a firing hears of it, or wakes from the pause between two attempts, and has nothing left to say.
                self._pass_time(newest)
                for wait in self.open_waits():
                    self.answer(wait)
                if all(kept.is_final for kept in self.database.all()):
                    break
        assert not any(worker.tasks for worker in self.workers), "a lane does not come to its end"
        assert not any(worker.held for worker in self.workers), "a lease is renewed for ever"
        self.check_ends()

    def check_ends(self) -> None:
        """See that every execution has ended as it must."""
        for kept in self.database.all():
            self._check_end(kept)

    def _is_under_way(self, kept: Kept) -> bool:
        """Say whether an execution should go on by itself, with the time: it does not once all of it waits for somebody, and it says so."""
        if kept.is_final or kept.status is not Status.WAITING:
            return not kept.is_final
        asked = {wait.place for wait in self.open_waits() if wait.execution_id == kept.id}
        # What a release began that cuts otherwise may have to wait until its segment is ready by the cut of today.
        return not ready_of(kept, self.plan) <= asked

    def run_all(self, worker: Worker, way: Way = Way.END) -> None:
        """Let a worker have every message, and run until nothing can go on without time or an answer."""
        for _ in range(MOST_TURNS):
            for message in list(self.messages):
                self.deliver(message, worker)
            for gate in list(self.gates):
                self.open(gate, way)
            going = [task for one in self.workers for task in one.tasks if task.can_go_on]
            if not (going or self.gates or self.messages):
                return
            for task in going:
                if task.can_go_on:
                    self.step(task)
        raise AssertionError("work comes back again and again, and nothing comes of it")

    def begin_all(self, worker: Worker) -> None:
        """Let a worker have every message, and its lanes go on until their blocks run."""
        for message in list(self.messages):
            self.deliver(message, worker)
        while going := [task for task in worker.tasks if task.can_go_on]:
            self.step(going[0])

    def close(self) -> None:
        """Clear away what the history leaves behind."""
        self.is_over = True
        for worker in [*self.workers, *self.dead]:
            worker.close()

    def _check_end(self, kept: Kept) -> None:
        assert kept.is_final, f"does not come to its end: {kept}"
        if kept.id in self.stopped or kept.id not in self.laws.expected:
            return
        drawn = replace(self.drawn, inputs=dict(kept.inputs))
        outcomes = reference.interpret(drawn.nodes, drawn.links, run_as_platform, drawn.inputs)
        fatal = {key for key, _ in reference.fatal(drawn.nodes, drawn.links, outcomes)}
        if fatal:
            assert kept.status is Status.FAILED
            assert kept.error_node in fatal
        else:
            assert kept.status is Status.SUCCEEDED, f"{kept.status} by {kept.error_code} of {kept.error_node}"
            assert kept.rows.keys() == outcomes.keys()
            assert kept.outputs == reference.execution_outputs(drawn.nodes, outcomes)

    def _pass_time(self, newest: Worker) -> None:
        self.run_all(newest)
        for worker in self.workers:
            worker.beat(self.database)
        self.advance(max(LEASE_S, 64 * GRACE_S) + 1.0)
        self.run_all(newest)

    def _send(self, execution_id: UUID, lane: Lane, then: Callable[[], None]) -> None:
        self.messages.append(Message(Work(execution_id, lane), then))

    def _send_chain(self, execution_id: UUID, lanes: Sequence[Lane]) -> None:
        first, *rest = lanes
        self._send(execution_id, first, lambda: self._send_chain(execution_id, rest) if rest else None)

    def _send_chord(self, execution_id: UUID, header: Sequence[Lane], body: Lane) -> None:
        left = [len(header)]

        def ended() -> None:
            # One that was run twice counts twice: then the body comes early.
            left[0] -= 1
            if left[0] == 0:
                self._send(execution_id, body, lambda: None)

        for lane in header:
            self._send(execution_id, lane, ended)


def rows_of(plan: Plan, closed: Iterable[Closed]) -> dict[Place, Row]:
    """Return the rows of paths that never fire."""
    return {(plan.nodes[one.node].key, one.path): Row(one.status, missing=tuple(one.missing)) for one in closed}


def _values(node: PlanNode, firing: Firing, *, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return values_of(node, firing, inputs)
    except AppError:
        return None
