"""One lane of one execution on this worker: look, claim, run, settle, again until nothing is left for it.

The thread that got the message drives it: it talks to the database and runs what only computes, so that cheap work pays for no hop
between threads. What waits is handed to the event loop of the process; so one thread carries as many waits as its lanes have.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from threading import get_ident
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError

from agentplatform.lib.clock import now
from agentplatform.lib.errors import AppError
from blocks.sdk import Effects, Placement
from executions import admission, attempts, failpoints, leases
from executions.answers import Answers, answers_of
from executions.batch import Batch, Ended, Settled
from executions.begun import Begun, Stop, Why
from executions.endings import follow_up
from executions.engine.compile import Lane
from executions.engine.progress import Firing, Progress
from executions.engine.segments import CPU_QUEUE
from executions.errors import BudgetExceeded, LeaseLost, NotRunning, TooManyFirings
from executions.firing import values_of
from executions.leases import Claim
from executions.limits import FiringCount, refuse_large_inputs
from executions.models import Execution
from executions.needs import Inbox, Needs, Request, Unsettled
from executions.on_loop import OnLoop
from executions.onward import Onward
from executions.rest import rest_if_idle
from executions.route import Route
from executions.settle import fail, settle, stop_if_idle
from executions.snapshot import Snapshot
from executions.stopping import stop
from executions.wanting import is_priced, wanted_of
from executions.worker import Worker, patiently

#: A firing that workers were lost with again and again waits so long for another such to end.
SUSPECTS_WAIT_S = 2.0


class LaneRun:
    """The work of one lane, from what is stored to what is settled."""

    def __init__(self, here: Worker, snapshot: Snapshot, lane: Lane, inbox: Inbox, route: Route | None = None) -> None:
        self.here = here
        self.route = route or Route()
        self.onward = Onward(snapshot, lane, self.route)
        self.snapshot = snapshot
        self.plan = snapshot.plan
        self.lane = lane
        self.inbox = inbox
        only = self.plan.downstream(lane.items.node) if lane.items else None
        self.progress = Progress(self.plan, lane.segments, done=snapshot.done, known=snapshot.known, only=only)
        self.done = snapshot.done
        self.count = FiringCount(snapshot.execution_id, is_new=not (snapshot.done or snapshot.known))
        self.is_stopping = snapshot.is_stopping
        #: The execution has ended.
        self.is_over = False
        self.was_refused = False
        self.is_lost = False
        #: It breaks off for a reason that nothing it runs has brought about.
        self.is_blameless = False
        self.is_paused = False
        #: A firing of it waits for something that no worker can hurry.
        self.is_waiting = False
        #: This worker stops, so something that is ready here is left to another one.
        self.is_held_back = False
        #: Why its firings are interrupted, if they are.
        self.stop = Stop()
        self.on_loop = OnLoop(here.loop, here.firings, self.stop, self._report)
        #: What it computes just now, and the thread that does.
        self.computing: Begun | None = None
        self.thread = 0
        #: Only computes, and can run at once.
        self.cheap: list[Begun] = []
        #: So many firings are on the event loop.
        self.waits = 0
        self.ended: list[Ended] = []
        self.reported: set[int] = set()
        #: Leases held; those of firings on the loop are let run out if this breaks off.
        self.claims: set[Claim] = set()

    def carry_out(self) -> Generator[Request, Any, Lane | None]:
        """Run until nothing of the lane is left for this worker, yielding what it needs.

        Return a lane to go on with here, if there is one.

        Raises:
            LeaseLost: another worker has taken over.
            NotRunning: the execution has ended meanwhile.
        """
        self.thread = get_ident()
        self.here.enter(self)
        try:
            yield from self._go()
        except (LeaseLost, OperationalError, InterfaceError):
            self.is_blameless = True
            raise
        finally:
            self._let_go()
        if self._is_left_to_another():
            self.onward.send_all()
        return self.onward.following

    def hear(self, news: Ended | Unsettled | None) -> None:
        """Take in how a firing on the loop ended."""
        if news is not None:
            self.waits -= 1
        if news is Unsettled.HERE:
            self.is_lost = self.is_lost or self.stop.why is not Why.LEAVING
        elif news is not None:
            self._resolve(news)

    def lose(self) -> None:
        """Stop: a lease was taken over. Called on the heartbeat's thread."""
        self.is_lost = True
        self.stop.ask(Why.LOST)
        self.on_loop.interrupt()
        self.inbox.put((self, None))

    def cancel(self) -> None:
        """Stop what runs, and settle what it used: the execution was cancelled. Called on the heartbeat's thread."""
        if self.stop.ask(Why.CANCELLED):
            self.on_loop.interrupt()

    def leave(self) -> None:
        """Stop what runs, settle what it used, and let another worker begin it again: this one stops. Called on the watch's thread."""
        if self.stop.ask(Why.LEAVING):
            self.on_loop.interrupt()

    def fail_computing(self, begun: Begun) -> None:
        """Settle what this lane computes as having taken too long: its thread may never come back. Called on the watch's thread."""
        if ended := attempts.cut_short(begun):
            batch = Batch(self.snapshot.execution_id, self.plan, self.here.name, ended=[ended])
            follow_up(settle([batch]))

    def _report(self, ended: Ended | None) -> None:
        self.inbox.put((self, ended or Unsettled.HERE))

    def _go(self) -> Generator[Request, Any, None]:
        yield from self._claim(self._take_ready())
        while True:
            to_claim = self._run_cheap()
            yield from self._settle()
            self.was_refused = self.onward.spread(self.progress) or self.was_refused
            # News may have come in while this lane had to wait for its turn at the database.
            if (yield from self._claim(to_claim)) or self.ended:
                continue
            # That it is lost may have been heard while it did not listen: then no news will ever come.
            if self.waits and not self.is_lost:
                yield Request(Needs.NEWS, self)
            elif not self.is_lost:
                break
            if self.is_lost:
                raise LeaseLost
        if (self.is_stopping or self.was_refused) and not self.is_over:
            follow_up([patiently(stop_if_idle, self._batch())])
        if (self.is_waiting or self.was_refused) and self._goes_on() and not self._is_left_to_another():
            self._rest()

    def _goes_on(self) -> bool:
        return not (self.is_over or self.is_stopping or self.is_paused)

    def _is_left_to_another(self) -> bool:
        return self._goes_on() and (self.is_held_back or self.stop.why is Why.LEAVING)

    def _take_ready(self) -> list[Firing]:
        """Take what has become ready here: all, or the range of a chunk; what is too much for one task is put aside."""
        ready = self.progress.take_ready()
        if not self._may_begin():
            return []
        if items := self.lane.items:
            wanted = set(self.progress.paths_of(items.node)[items.start : items.stop])
            ready = [firing for firing in ready if firing.node != items.node or firing.path in wanted]
        if not self.count.allows(ready, unwritten=len(self.ended)):
            self._stop_as_too_many()
            return []
        if self.lane.items:
            return ready
        by_node: dict[int, list[Firing]] = {}
        for firing in ready:
            by_node.setdefault(firing.node, []).append(firing)
        for node, firings in by_node.items():
            if self._is_too_much(node, len(firings)):
                self.onward.put_aside(node, [firing.path for firing in firings])
                ready = [firing for firing in ready if firing.node != node]
        return ready

    def _rest(self) -> None:
        """Let the execution wait, if nothing of it can go on; while it does, another may run."""
        if patiently(rest_if_idle, self.snapshot.execution_id):
            admission.admit_soon()

    def _stop_as_too_many(self) -> None:
        reason = TooManyFirings(f"It has more than {settings.AGENTPLATFORM_MAX_FIRINGS:,} node executions.")
        patiently(stop, Execution(pk=self.snapshot.execution_id), reason)
        self.is_stopping = True

    def _stop_as_unpaid(self, refused: Claim) -> None:
        batch = Batch(self.snapshot.execution_id, self.plan, self.here.name, done_before=self.done)
        self.is_stopping = True
        try:
            settled = patiently(fail, batch, BudgetExceeded(refused.refusal), refused.node_key)
        except NotRunning:
            # It was cancelled meanwhile.
            return
        self.is_over = settled.is_final
        follow_up([settled])

    def _may_begin(self) -> bool:
        return self._goes_on() and not self.stop.why

    def _is_too_much(self, node: int, count: int) -> bool:
        if self.plan.nodes[node].block.placement is Placement.INLINE or not self.progress.is_settled(node):
            return False
        limits = self.route.limits()
        return count > (limits.lanes if self.lane.queue == CPU_QUEUE else limits.chunk)

    def _claim(self, ready: list[Firing]) -> Generator[Request, list[Claim], bool]:
        """Claim firings and begin those that are ours. Return whether there are any: what they build on is kept by now."""
        if not ready or not self._may_begin():
            return False
        if self.here.is_closing:
            self.is_held_back = True
            return False
        queued_at = now()
        values, wanted = {}, []
        for firing in ready:
            one, values[firing.node, firing.path] = patiently(
                wanted_of,
                self.plan.nodes[firing.node],
                firing.path,
                self._values(firing),
                self.snapshot.family,
                self.snapshot.mask,
            )
            wanted.append(one)
        granted = yield Request(Needs.CLAIMS, (self.snapshot.execution_id, wanted))
        claims = self._without_suspects([claim for claim in granted if not claim.refusal])
        self.was_refused = self.was_refused or len(claims) < len(wanted)
        self.claims.update(claims)
        self.here.hold(claims, self)
        if refused := next((claim for claim in granted if claim.refusal), None):
            self._stop_as_unpaid(refused)
        answers = patiently(answers_of, self.snapshot.execution_id, claims) if any(c.waits for c in claims) else {}
        ours = {(self.plan.index_of[claim.node_key], claim.path): claim for claim in claims}
        begun = [
            self._begun(firing, values[firing.node, firing.path], claim, queued_at, answers)
            for firing in ready
            if (claim := ours.get((firing.node, firing.path)))
        ]
        self.cheap.extend(one for one in begun if self._is_cheap(one.firing))
        slow = [one for one in begun if not self._is_cheap(one.firing)]
        self.waits += len(slow)
        self.on_loop.begin(slow)
        return bool(begun)

    def _without_suspects(self, claims: list[Claim]) -> list[Claim]:
        """Give back what workers were lost with again and again, but for one: whatever ends this worker is then known."""
        suspects = [claim for claim in claims if claim.losses == leases.MAX_LOSSES - 1]
        waiting = [one for one in suspects if not (self._is_once(one) or self.here.may_begin_suspect(one))]
        if begun := [claim for claim in suspects if claim not in waiting]:
            patiently(leases.blame, begun)
        if waiting:
            patiently(leases.hand_back, waiting, pause_s=SUSPECTS_WAIT_S)
        return [claim for claim in claims if claim not in waiting]

    def _is_once(self, claim: Claim) -> bool:
        return self.plan.nodes[self.plan.index_of[claim.node_key]].block.effects is Effects.AT_MOST_ONCE

    def _begun(
        self,
        firing: Firing,
        values: dict[str, Any] | AppError,
        claim: Claim | None,
        queued_at: datetime,
        answers: Answers | None = None,
    ) -> Begun:
        node = self.plan.nodes[firing.node]
        return Begun(
            execution_id=self.snapshot.execution_id,
            node=node,
            firing=firing,
            values=values,
            claim=claim,
            queued_at=queued_at,
            family=self.snapshot.family,
            answers=(answers or {}).get((node.key, firing.path), {}),
            stop=self.stop,
            mask=self.snapshot.mask,
            allowed_hosts=self.snapshot.allowed_hosts,
            sub_graphs=self.route.sub_graphs,
        )

    def _run_cheap(self) -> list[Firing]:
        """Run everything that only computes, and what that makes ready in turn. Return what must be claimed first."""
        to_claim = self._sort_ready()
        while self.cheap:
            batch, self.cheap = self.cheap, []
            for begun in batch:
                self.computing = begun
                self._resolve(attempts.run_now(begun))
            self.computing = None
            to_claim += self._sort_ready()
        return to_claim

    def _sort_ready(self) -> list[Firing]:
        """Put aside what has become ready and only computes, for nothing: it needs no claim of its own. Return the rest."""
        queued_at = now()
        ready = self._take_ready()
        to_claim: list[Firing] = []
        for firing in ready:
            if self._is_cheap(firing) and not is_priced(self.plan.nodes[firing.node]):
                self.cheap.append(self._begun(firing, self._values(firing), None, queued_at))
            else:
                to_claim.append(firing)
        return to_claim

    def _settle(self) -> Generator[Request, Settled | Exception, None]:
        """Write what has ended, and find out what may begin elsewhere."""
        batch = self._batch()
        if not (batch.ended or batch.closed or batch.segments):
            return
        settled = yield Request(Needs.SETTLED, batch)
        if not isinstance(settled, Settled):
            raise settled
        failpoints.reach("after_settle")
        settled_claims = [ended.claim for ended in batch.ended if ended.claim]
        self.here.drop(settled_claims)
        self.claims.difference_update(settled_claims)
        self.reported.update(batch.segments)
        self.is_over = settled.is_final
        self.is_stopping = self.is_stopping or settled.is_stopping
        self.is_paused = settled.is_paused
        self.is_waiting = self.is_waiting or settled.has_waits
        if not (self.is_over or self.is_stopping):
            self.done = self.done | settled.done
            self.onward.go_on(batch.segments, settled.done, may_keep=not (self.waits or self.here.is_closing))

    def _let_go(self) -> None:
        """Leave nothing running behind; what is on the loop keeps its lease until that runs out, as it may not stop at once."""
        self.here.leave(self)
        if self.waits:
            self.stop.ask(Why.LOST)
            self.on_loop.interrupt()
        if self.is_blameless:
            self.here.let_go(self.claims)
        else:
            self.here.drop(self.claims)
        if self.claims and not self.waits and not self.is_lost:
            patiently(leases.give_up, list(self.claims))

    def _resolve(self, ended: Ended) -> None:
        self.ended.append(ended)
        if ended.is_fatal:
            self.is_stopping = True
        if ended.is_final:
            self.progress.resolve(ended.node, ended.path, ended.outcome)
        else:
            self.is_waiting = True

    def _values(self, firing: Firing) -> dict[str, Any] | AppError:
        node = self.plan.nodes[firing.node]
        try:
            values = values_of(node, firing, self.snapshot.inputs)
            if any(feed.is_gathered for feed in node.feeds):
                refuse_large_inputs(values)
        except AppError as error:
            return error
        return values

    def _is_cheap(self, firing: Firing) -> bool:
        return self.plan.nodes[firing.node].block.placement is Placement.INLINE

    def _batch(self) -> Batch:
        ended, self.ended = self.ended, []
        complete = self.progress.complete_segments()
        return Batch(
            execution_id=self.snapshot.execution_id,
            plan=self.plan,
            worker=self.here.name,
            ended=ended,
            closed=self.progress.take_closed(),
            segments=[] if self.is_stopping else [segment for segment in complete if segment not in self.reported],
            done_before=self.done,
            known_outputs={
                node.index: dict(self.progress.outcomes_of(node.index))
                for node in self.plan.outputs
                # Of a segment that was spread, other workers know more.
                if node.segment in complete
            },
        )
