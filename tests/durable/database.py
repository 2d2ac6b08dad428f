"""What workers, beat and people ask of the database, as plain code: the statements of `executions/sql/` and their callers, one for one.

`test_model_conforms.py` holds it to the real ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from executions.begun import Family
from executions.engine.compile import is_of
from executions.engine.items import Path
from executions.engine.plan import Plan
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.leases import MARK_BITS, MAX_LOSSES, Claim, Wanted
from executions.messages import Work
from executions.rest import SOON
from executions.snapshot import Snapshot
from tests.durable.kept import WRITABLE, Kept, Place, Row, known_outcomes, ready_of
from tests.durable.settling import Settling

LEASE_S = 10.0
GRACE_S = 5.0
PATIENCE_IN_LINE = 4.0


class Database(Settling):
    """The executions of one history, for those who look, claim, wait, answer and stop."""

    def look(self, work: Work, plan: Plan) -> Snapshot | None:
        """`look.sql` and snapshot.py."""
        kept = self.kept[work.execution_id]
        if kept.status not in {Status.QUEUED, *WRITABLE} or kept.is_paused:
            return None
        done = kept.ended(plan)
        if not is_of(plan, work.lane) or (len(done) < len(plan.segments) and done.issuperset(work.lane.segments)):
            return None
        return Snapshot(
            kept.id,
            plan,
            Family(owner_id=1, root_id=kept.id),
            dict(kept.inputs),
            done,
            known_outcomes(kept, plan, work.lane.segments),
            kept.is_stopping,
        )

    def claim(self, wanted: Mapping[UUID, Sequence[Wanted]], *, worker: str) -> dict[UUID, list[Claim]]:
        """`claim.sql`."""
        claims: dict[UUID, list[Claim]] = {execution_id: [] for execution_id in wanted}
        if not any(wanted.values()):
            return claims
        with self._transaction(is_relaxed=not any(one.is_once for firings in wanted.values() for one in firings)):
            for execution_id, firings in wanted.items():
                kept = self._read(execution_id)
                if kept.status not in {Status.QUEUED, *WRITABLE} or kept.is_stopping or kept.is_paused:
                    continue
                if kept.status in (Status.QUEUED, Status.WAITING):
                    kept = replace(kept, status=Status.RUNNING)
                rows = dict(kept.rows)
                for firing in sorted(firings, key=lambda one: (one.node_key, one.path)):
                    place = firing.node_key, firing.path
                    if (row := self._taken(rows.get(place), firing, worker)) is not None:
                        rows[place] = row
                        claims[execution_id].append(_claim_of(execution_id, place, row))
                self._write(replace(kept, rows=rows))
        return claims

    def renew(self, claims: Iterable[Claim]) -> dict[Claim, bool]:
        """`renew.sql`."""
        gone: dict[Claim, bool] = {}
        with self._transaction(is_relaxed=True):
            for claim in claims:
                kept = self._read(claim.execution_id)
                row = kept.rows.get((claim.node_key, claim.path))
                if row is None:
                    continue
                is_cancelled = kept.status is Status.CANCELLING or row.status is NodeStatus.CANCELLED
                if row.fence != claim.fence or is_cancelled:
                    gone[claim] = row.fence == claim.fence
                if row.fence == claim.fence and row.status is NodeStatus.RUNNING:
                    self._set(kept, claim, replace(row, lease_expires_at=self.clock.now + LEASE_S))
        return gone

    def give_up(self, claims: Iterable[Claim]) -> None:
        """`expire.sql`."""
        with self._transaction():
            for claim in claims:
                kept = self._read(claim.execution_id)
                row = kept.rows.get((claim.node_key, claim.path))
                if row and row.fence == claim.fence and row.status is NodeStatus.RUNNING:
                    self._set(kept, claim, replace(row, lease_expires_at=self.clock.now - 1.0))

    def vouch(self, claims: Iterable[Claim]) -> list[Claim]:
        """`vouch.sql`."""
        again = []
        with self._transaction():
            for claim in claims:
                kept = self._read(claim.execution_id)
                row = kept.rows.get((claim.node_key, claim.path))
                if row is None or row.is_final:
                    continue
                if claim.fence in row.lost or (row.fence == claim.fence and row.status is NodeStatus.RUNNING):
                    again.append(claim)
                if claim.fence in row.lost:
                    lost = tuple(fence for fence in row.lost if fence != claim.fence)
                    self._set(kept, claim, replace(row, lost=lost))
        return again

    def blame(self, claims: Iterable[Claim]) -> None:
        """`blame.sql`."""
        with self._transaction():
            for claim in claims:
                kept = self._read(claim.execution_id)
                row = kept.rows.get((claim.node_key, claim.path))
                if row and row.fence == claim.fence and row.status is NodeStatus.RUNNING:
                    self._set(kept, claim, replace(row, is_to_blame=True))

    def hand_back(self, claims: Iterable[Claim], *, pause_s: float) -> None:
        """`hand_back.sql`."""
        with self._transaction():
            for claim in claims:
                kept = self._read(claim.execution_id)
                row = kept.rows.get((claim.node_key, claim.path))
                if row and row.fence == claim.fence and row.status is NodeStatus.RUNNING:
                    due_at = self.clock.now + pause_s
                    handed = replace(row, status=NodeStatus.PENDING, due_at=due_at, lease_expires_at=None)
                    self._set(kept, claim, handed)

    def held(self, execution_id: UUID, node_key: str) -> set[Path]:
        """`leases.held`."""
        rows = self.kept[execution_id].rows
        return {
            path
            for (key, path), row in rows.items()
            if key == node_key and not row.is_final and not row.is_claimable(self.clock.now)
        }

    def answers_of(self, execution_id: UUID, claims: Iterable[Claim]) -> dict[Place, dict[str, Any]]:
        """answers.py."""
        waited = {(claim.node_key, claim.path) for claim in claims if claim.waits}
        found: dict[Place, dict[str, Any]] = {}
        for (place, call_key), wait in self.kept[execution_id].waits.items():
            if place in waited and wait.status is not WaitStatus.OPEN:
                found.setdefault(place, {})[call_key] = {
                    "kind": wait.kind,
                    "status": wait.status,
                    "answer": wait.answer,
                }
        return found

    def rest_if_idle(self, execution_id: UUID, plan: Plan) -> bool:
        """rest.py."""
        with self._transaction():
            kept = self._read(execution_id)
            if kept.status is not Status.RUNNING or kept.is_paused or kept.is_stopping:
                return False
            if any(row.is_live(self.clock.now) for row in kept.rows.values()):
                return False
            soon = self.clock.now + SOON.total_seconds()
            waiting = {place for place, row in kept.rows.items() if row.waits_beyond(soon)}
            if not waiting or not ready_of(kept, plan) <= waiting:
                return False
            self._write(replace(kept, status=Status.WAITING))
            return True

    def stuck(self, *, in_line: bool) -> list[UUID]:
        """`stuck.sql`."""
        found = [kept for kept in self.all() if self._is_stuck(kept, PATIENCE_IN_LINE if in_line else 1.0)]
        with self._transaction():
            for kept in found:
                self._write(replace(kept, launched_at=self.clock.now, launches=kept.launches + 1))
        return [kept.id for kept in found]

    def due(self) -> list[UUID]:
        """`due.sql`."""
        now = self.clock.now
        found = [
            kept
            for kept in self.kept.values()
            if kept.status in WRITABLE
            and not kept.is_paused
            and not kept.is_stopping
            and kept.launched_at < now - GRACE_S
            and any(row.status is NodeStatus.PENDING and row.is_claimable(now) for row in kept.rows.values())
        ]
        with self._transaction():
            for kept in found:
                self._write(replace(kept, launched_at=now))
        return [kept.id for kept in found]

    def stop(self, execution_id: UUID, error_code: str = "") -> None:
        """`stopping.cancel` and `stopping.stop`."""
        kept = self.kept[execution_id]
        if kept.is_final or kept.status is Status.CANCELLING:
            return
        kept = replace(kept, error_code=kept.error_code or error_code)
        with self._transaction():
            if kept.status is Status.QUEUED:
                self._write(replace(kept, status=Status.FAILED if kept.error_code else Status.CANCELLED))
            else:
                self._write(replace(self._without_idle(kept, keeps_errors=False), status=Status.CANCELLING))
                self._end_stopped(execution_id)

    def end_stopped(self) -> None:
        """`stopped.end`."""
        for kept in self.all():
            if kept.status is Status.CANCELLING:
                with self._transaction():
                    self._end_stopped(kept.id)

    def set_paused(self, execution_id: UUID, *, is_paused: bool) -> bool:
        """`stopping.pause` and `stopping.resume`. Return whether that changed anything."""
        kept = self.kept[execution_id]
        if kept.is_final or kept.status is Status.CANCELLING or kept.is_paused is is_paused:
            return False
        with self._transaction():
            launched_at = kept.launched_at if is_paused else self.clock.now
            self._write(replace(kept, is_paused=is_paused, launched_at=launched_at))
        return True

    def answer(self, execution_id: UUID, place: Place, call_key: str, answer: Any) -> bool:
        """`waits._close`. Return whether it was still open, and in time."""
        wait = self.kept[execution_id].waits[place, call_key]
        if wait.due_at is not None and wait.due_at <= self.clock.now:
            return False
        return self._close(execution_id, place, call_key, WaitStatus.ANSWERED, answer)

    def time_out(self) -> list[UUID]:
        """`time_out.sql`."""
        closed = [
            kept.id
            for kept in self.all()
            for (place, call_key), wait in kept.waits.items()
            if wait.due_at is not None
            and wait.due_at <= self.clock.now
            and self._close(
                kept.id,
                place,
                call_key,
                WaitStatus.ANSWERED if wait.kind is WaitKind.TIMER else WaitStatus.TIMED_OUT,
            )
        ]
        return [kept_id for kept_id in dict.fromkeys(closed) if not self.kept[kept_id].is_paused]

    def _close(self, execution_id: UUID, place: Place, call_key: str, status: WaitStatus, answer: Any = None) -> bool:
        kept = self.kept[execution_id]
        wait = kept.waits[place, call_key]
        if kept.status not in WRITABLE or kept.is_stopping or wait.status is not WaitStatus.OPEN:
            return False
        row = kept.rows[place]
        if row.status is NodeStatus.WAITING:
            row = replace(row, status=NodeStatus.PENDING, due_at=self.clock.now, error_code="")
        waits = {**kept.waits, (place, call_key): replace(wait, status=status, answer=answer)}
        with self._transaction():
            self._write(replace(kept, rows={**kept.rows, place: row}, waits=waits, launched_at=self.clock.now))
        return True

    def _is_stuck(self, kept: Kept, patience: float) -> bool:
        now, leased = self.clock.now, [row for row in kept.rows.values() if row.status is NodeStatus.RUNNING]
        if kept.status not in (Status.QUEUED, Status.RUNNING) or kept.is_paused or kept.launched_at >= now - GRACE_S:
            return False
        is_orphaned = any(not row.is_live(now) for row in leased)
        is_late = kept.launched_at < now - GRACE_S * min(patience ** min(kept.launches, 6), 64)
        return is_orphaned or (is_late and not any((row.lease_expires_at or now) > now for row in leased))

    def _taken(self, row: Row | None, firing: Wanted, worker: str) -> Row | None:
        """Return the row as its new holder has it, or None if it can not be taken."""
        is_ours = row is not None and row.is_granted_to(worker, firing.mark)
        if row is not None and not (is_ours or row.is_claimable(self.clock.now)):
            return None
        self.fence += 1
        before = row or Row(NodeStatus.RUNNING, attempt=0, crashes=-1, inputs=firing.inputs)
        is_lost = before.status is NodeStatus.RUNNING and before.is_to_blame and not is_ours
        lost = (*before.lost, before.fence) if row is not None and is_lost else before.lost
        return replace(
            before,
            status=NodeStatus.RUNNING,
            attempt=before.attempt + is_lost,
            crashes=before.crashes + is_lost,
            lost=lost,
            is_to_blame=len(lost) != MAX_LOSSES - 1,
            fence=(self.fence << MARK_BITS) + firing.mark,
            lease_expires_at=self.clock.now + LEASE_S,
            due_at=None,
            worker=worker,
        )

    def _set(self, kept: Kept, claim: Claim, row: Row) -> None:
        self._write(replace(kept, rows={**kept.rows, (claim.node_key, claim.path): row}))


def _claim_of(execution_id: UUID, place: Place, row: Row) -> Claim:
    return Claim(
        execution_id,
        *place,
        row.fence,
        row.attempt,
        row.crashes,
        len(row.lost),
        row.waits,
        row.usage,
        row.cost_microcredits,
    )
