"""What must hold of every commit, whatever happens around it: the promises, checked by other means than those that keep them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from executions.engine.progress import Progress
from executions.engine.status import FINAL, FROM_HERE, NODE_FINAL, NODE_FROM_HERE, NodeStatus, Status
from executions.leases import MAX_CRASHES, MAX_LOSSES
from tests import reference
from tests.durable.kept import SUSPENDED, Kept, Place, Row, cut_finer, ready_of
from tests.strategies import Drawn

#: After these, nothing new may begin and nothing may come out.
STOPPED = FINAL | {Status.CANCELLING}


@dataclass
class Laws:
    """Watches the commits of one history."""

    #: How each firing must end, by the reference interpreter; nothing is known where an end was made up by somebody.
    expected: dict[UUID, dict[Place, Any]] = field(default_factory=dict)
    fences: dict[tuple[UUID, Place], list[int]] = field(default_factory=lambda: defaultdict(list))
    #: By their fence, the attempts whose block came to its own end, and those whose end is stored.
    ended: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    #: Claims under which a block was begun.
    begun: dict[tuple[UUID, Place], set[int]] = field(default_factory=lambda: defaultdict(set))
    #: How often a person had a firing run again that was cut short.
    permitted: dict[tuple[UUID, Place], int] = field(default_factory=lambda: defaultdict(int))

    def expect(self, execution_id: UUID, drawn: Drawn, outcomes: reference.Outcomes) -> None:
        """Take note of how the reference has each firing end."""
        self.expected[execution_id] = {place: _shown(drawn, place, outcome) for place, outcome in outcomes.items()}

    def expect_nothing(self, execution_id: UUID) -> None:
        """Forget how its firings must end: somebody has made up the end of one."""
        self.expected.pop(execution_id, None)

    def check(self, before: Kept | None, after: Kept) -> None:
        """Check one commit."""
        if before is None:
            _check_follows(after, _progress_of(after))
            for place, row in after.rows.items():
                self._check_as_expected(after, place, row)
            return
        self._check_execution(before, after)
        changed = {
            place: (before.rows.get(place), row)
            for place, row in after.rows.items()
            if row is not before.rows.get(place)
        }
        assert before.rows.keys() <= after.rows.keys(), "a row was removed"
        progress = _progress_of(after)
        for place, (old, new) in changed.items():
            if old is None or old != new:
                self._check_row(before, place, old, new)
        self._check_begins(before, after, {place for place, (old, new) in changed.items() if _is_claim(old, new)})
        _check_follows(after, progress)
        if after.status is Status.WAITING and before.status is not Status.WAITING:
            waiting = {place for place, row in after.rows.items() if row.status in SUSPENDED}
            # By whichever cut it was found out.
            ready = ready_of(after, after.plan) & ready_of(after, cut_finer(after.plan))
            assert ready <= waiting, "it says that it waits, and something could run"
        if after.is_final:
            self._check_end(after, progress)

    def forget(self, kept: Kept) -> None:
        """Take what is stored of an execution as it is: the database has lost what it had not written to the disk."""
        for (execution_id, place), fences in self.fences.items():
            if execution_id == kept.id:
                row = kept.rows.get(place)
                fences[:] = [fence for fence in fences if row and fence <= row.fence]

    def begin(self, execution_id: UUID, place: Place, fence: int, *, is_once: bool) -> None:
        """Check that a block may be begun now."""
        before = self.begun[execution_id, place]
        if is_once:
            cut_short = before - {fence} - (self.ended & self.settled)
            assert len(cut_short) <= self.permitted[execution_id, place], "what must not be repeated was begun again"
        before.add(fence)

    def _check_execution(self, before: Kept, after: Kept) -> None:
        if before.is_final:
            assert before == after, f"an execution changed after its end: {before} {after}"
        assert before.status == after.status or after.status in FROM_HERE[before.status], (
            f"{before.status} -> {after.status}"
        )
        assert before.is_stopping <= after.is_stopping
        if before.error_code:
            assert (before.error_code, before.error_node) == (after.error_code, after.error_node)
        assert set(before.done) <= set(after.done)
        assert before.plan is after.plan

    def _check_row(self, before: Kept, place: Place, old: Row | None, new: Row) -> None:
        history = self.fences[before.id, place]
        if old is not None:
            assert not old.is_final, f"{place} changed after its end: {old} {new}"
            assert new.status in NODE_FROM_HERE[old.status] or new.status == old.status, f"{old.status} -> {new.status}"
            assert new.attempt >= old.attempt
            assert new.crashes >= old.crashes >= len(old.lost)
            assert set(new.lost) <= {*old.lost, old.fence}, "somebody is held to be lost who was not taken over from"
        if _is_claim(old, new):
            assert new.fence > max(history, default=0), "a fence was given out that does not grow"
            history.append(new.fence)
        elif new.fence:
            assert new.fence == max(history), f"{place} was written with an old fence"
            if new.status is not NodeStatus.RUNNING:
                self.settled.add(new.fence)
        if new.is_final:
            self._check_outcome(before, place, new)

    def _check_outcome(self, before: Kept, place: Place, row: Row) -> None:
        if row.status is NodeStatus.CANCELLED:
            assert not row.outputs
            return
        assert before.status not in STOPPED, f"{place} ended after the execution was told to stop"
        if row.error_code in ("POISON", "STARVED"):
            assert row.crashes >= (MAX_LOSSES if row.error_code == "POISON" else MAX_CRASHES)
            # What follows from it is not what follows from the block's own end.
            self.expect_nothing(before.id)
        self._check_as_expected(before, place, row)

    def _check_as_expected(self, kept: Kept, place: Place, row: Row) -> None:
        if kept.id in self.expected:
            outcome = self.expected[kept.id].get(place)
            found = str(row.status), dict(row.outputs), tuple(row.missing), row.error_code
            if row.error_code == "PIN_CONFLICT" and outcome is not None and outcome[0] == row.status:
                # The reference says it in other words, and these may go on along the error pin.
                self.expect_nothing(kept.id)
                return
            assert found == outcome, f"{place} ended as {found}, not {outcome}"

    def _check_begins(self, before: Kept, after: Kept, claimed: set[Place]) -> None:
        if not claimed:
            return
        assert before.status not in STOPPED
        assert not before.is_stopping
        assert not before.is_paused
        ready = _ready(_progress_of(before))
        assert claimed <= ready, f"not ready: {claimed - ready}"

    def _check_end(self, after: Kept, progress: Progress) -> None:
        assert all(row.is_final for row in after.rows.values()), "something was left open at the end"
        if after.status is Status.SUCCEEDED:
            assert set(progress.complete_segments()) == set(range(len(after.plan.segments))), "it ended too early"
            assert not after.is_stopping
        if after.status is Status.FAILED:
            assert after.error_code


def _is_claim(old: Row | None, new: Row) -> bool:
    return new.status is NodeStatus.RUNNING and (old is None or old.fence != new.fence)


def _progress_of(kept: Kept) -> Progress:
    """Return how far it has come, found out from nothing but how firings have ended."""
    return Progress(kept.plan, range(len(kept.plan.segments)), done=(), known=kept.known())


def _ready(progress: Progress) -> set[Place]:
    return {(progress.plan.nodes[firing.node].key, firing.path) for firing in progress.take_ready()}


def _check_follows(kept: Kept, progress: Progress) -> None:
    """See that each row that ended, and each segment that is noted as complete, follows from what has ended before it."""
    reached = {
        (node.key, path): outcome.status
        for node in kept.plan.nodes
        for path, outcome in progress.outcomes_of(node.index).items()
    }
    for place, row in kept.rows.items():
        if row.status in NODE_FINAL and row.status is not NodeStatus.CANCELLED:
            assert reached.get(place) == row.status, f"{place} does not follow from what ended before"
    if not kept.is_final:
        # The end adds numbers of whatever cut the last worker had; nobody reads them any more.
        assert set(kept.done) <= set(progress.complete_segments()), "a segment is not complete"


def _shown(drawn: Drawn, place: Place, outcome: reference.Outcome) -> tuple[Any, ...]:
    """Return what is compared of an outcome; what a failure gives to its linked `error` pin is kept as an output."""
    is_caught = any(link.source == place[0] and link.source_pin.startswith("error") for link in drawn.links)
    error = outcome.error or {}
    outputs = {"error": [{key: error[key] for key in ("code", "message", "hint")}]} if error and is_caught else {}
    return outcome.status, outcome.outputs or outputs, tuple(outcome.missing), error.get("code", "")
