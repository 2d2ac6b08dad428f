"""Transactions in memory, and how what a worker has found out is written in one: settle.py and stopped.py, one for one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from executions.batch import Batch, Ended, Settled, outputs_of
from executions.engine.items import Outcome, Path
from executions.engine.status import NodeStatus, Status
from executions.engine.waits import WaitKind, WaitStatus
from executions.errors import LeaseLost, NotRunning
from tests.durable.clock import Clock
from tests.durable.kept import GOING, WRITABLE, Kept, Row, WaitRow

#: Told of every commit that changed an execution: before and after.
Audit = Callable[[Kept | None, Kept], None]


class Settling:
    """The executions of one history, and what settles them. Each public method happens at once or not at all."""

    def __init__(self, clock: Clock, audit: Audit = lambda before, after: None) -> None:
        self.clock = clock
        self.kept: dict[UUID, Kept] = {}
        self.fence = 0
        self._audit = audit
        self._open: dict[UUID, Kept] | None = None
        #: What is on the disk: a commit that need not wait for it gets there with the next one that does.
        self._durable: dict[UUID, Kept] = {}

    def crash(self) -> None:
        """Lose what was committed and had not reached the disk."""
        self.kept = dict(self._durable)

    def insert(self, kept: Kept) -> None:
        """Accept an execution."""
        with self._transaction():
            self._write(kept)

    def all(self) -> list[Kept]:
        """Return every execution."""
        return list(self.kept.values())

    def settle(self, batches: Sequence[Batch]) -> list[Settled | Exception]:
        """`settle.settle`."""
        if len(batches) > 1:
            try:
                return list(self._settle(batches))
            except (LeaseLost, NotRunning):
                pass
        return [self._alone(batch) for batch in batches]

    def stop_if_idle(self, batch: Batch) -> Settled:
        """`settle.stop_if_idle`."""
        with self._transaction():
            state = self._locked(batch.execution_id)
            if state is None:
                raise NotRunning
            return self._stop_if_idle(batch, state) if state.is_stopping else state

    def _alone(self, batch: Batch) -> Settled | Exception:
        try:
            try:
                (settled,) = self._settle([batch])
            except NotRunning:
                settled = self._settle_stopping(batch)
        except LeaseLost:
            return self._settled_before(batch) or LeaseLost()
        except NotRunning as reason:
            return reason
        return settled

    def _settle_stopping(self, batch: Batch) -> Settled:
        with self._transaction():
            state = self._locked(batch.execution_id)
            if state is None:
                raise NotRunning
            if state.is_cancelling:
                self._write_claimed(batch.execution_id, batch.cancelled().ended)
                return self._stop_if_idle(batch, state)
        (settled,) = self._settle([batch], knows_end=False)
        return settled

    def _locked(self, execution_id: UUID) -> Settled | None:
        kept = self._read(execution_id)
        if kept.status not in GOING:
            return None
        is_cancelling = kept.status is Status.CANCELLING
        return Settled(
            frozenset(kept.done),
            is_stopping=kept.is_stopping or is_cancelling,
            is_paused=kept.is_paused,
            is_cancelling=is_cancelling,
        )

    def _settle(self, batches: Sequence[Batch], *, knows_end: bool = True) -> list[Settled]:
        with self._transaction():
            # What ends with the same visit is put together before the rows of this very batch are there.
            ends = [self._outputs(batch) if knows_end and self._is_last(batch) else None for batch in batches]
            for batch in batches:
                self._write_rows(batch)
            for batch in batches:
                # `stand.sql`: what advances is guarded by the execution's own update; what does not has to look where that stands.
                if not batch.advances and self._read(batch.execution_id).status not in WRITABLE:
                    raise NotRunning
            return [
                self._advance(batch)
                if outputs is None
                else self._finish(batch, Status.SUCCEEDED, outputs, batch.segments)
                for batch, outputs in zip(batches, ends, strict=True)
            ]

    def _is_last(self, batch: Batch) -> bool:
        return batch.failed is None and len(batch.done_before.union(batch.segments)) == len(batch.plan.segments)

    def _write_rows(self, batch: Batch) -> None:
        self._write_claimed(batch.execution_id, [one for one in batch.ended if one.claim])
        kept = self._read(batch.execution_id)
        rows, waits = dict(kept.rows), dict(kept.waits)
        for one in batch.ended:
            place = one.node_key, one.path
            if one.claim is None:
                if place in rows:
                    raise LeaseLost
                rows[place] = self._ended(Row(NodeStatus.RUNNING, inputs=one.inputs, worker=batch.worker), one)
            if one.wait is not None:
                due_at = None if one.wait.due_in_s is None else self.clock.now + one.wait.due_in_s
                waits.setdefault((place, one.wait.call_key), WaitRow(WaitKind(one.wait.kind), due_at=due_at))
        for closed in batch.closed:
            key = batch.plan.nodes[closed.node].key
            rows.setdefault((key, closed.path), Row(closed.status, missing=tuple(closed.missing)))
        self._write(replace(kept, rows=rows, waits=waits))

    def _write_claimed(self, execution_id: UUID, ended: Iterable[Ended]) -> None:
        kept = self._read(execution_id)
        rows = dict(kept.rows)
        for one in ended:
            assert one.claim is not None
            row = rows.get((one.node_key, one.path))
            if row is None or row.fence != one.claim.fence or row.status is not NodeStatus.RUNNING:
                raise LeaseLost
            rows[one.node_key, one.path] = self._ended(row, one)
        self._write(replace(kept, rows=rows))

    def _ended(self, row: Row, one: Ended) -> Row:
        return replace(
            row,
            status=one.outcome.status,
            attempt=one.attempt,
            lease_expires_at=None,
            due_at=None if one.due_in_s is None else self.clock.now + one.due_in_s,
            waits=row.waits + (one.wait is not None),
            outputs=one.outcome.outputs,
            error_code=one.error.get("code", ""),
            usage=one.usage,
            cost_microcredits=one.cost_microcredits,
            history=(*row.history, *one.history),
        )

    def _advance(self, batch: Batch) -> Settled:
        kept = self._read(batch.execution_id)
        if not batch.advances:
            return Settled(batch.done_before, is_stopping=kept.is_stopping, is_paused=kept.is_paused)
        if kept.status not in WRITABLE:
            raise NotRunning
        failed = batch.failed
        is_same_cut = batch.plan.mark == kept.plan.mark
        kept = replace(
            kept,
            done=(*kept.done, *batch.segments) if is_same_cut else kept.done,
            is_stopping=kept.is_stopping or failed is not None,
            error_code=kept.error_code or (failed.error.get("code", "") if failed else ""),
            error_node=kept.error_node or (failed.node_key if failed else ""),
        )
        self._write(kept)
        done = frozenset(kept.done) if is_same_cut else batch.done_before.union(batch.segments)
        has_waits = any(wait.status is WaitStatus.OPEN for wait in kept.waits.values())
        state = Settled(done, is_stopping=kept.is_stopping, is_paused=kept.is_paused, has_waits=has_waits)
        if state.is_stopping:
            return self._stop_if_idle(batch, state)
        if len(state.done) == len(batch.plan.segments):
            return self._finish(batch, Status.SUCCEEDED, self._outputs(batch))
        return state

    def _stop_if_idle(self, batch: Batch, state: Settled) -> Settled:
        kept = self._read(batch.execution_id)
        if any(row.is_live(self.clock.now) for row in kept.rows.values()):
            return state
        kept = self._without_idle(kept, keeps_errors=not state.is_cancelling)
        if state.is_cancelling:
            self._write(replace(kept, status=Status.FAILED if kept.error_code else Status.CANCELLED))
            return Settled(frozenset(), is_final=True, is_cancelling=True)
        self._write(kept)
        return self._finish(batch, Status.FAILED, self._outputs(batch))

    def _finish(
        self, batch: Batch, status: Status, outputs: Mapping[str, Any], segments: Sequence[int] = ()
    ) -> Settled:
        kept = self._read(batch.execution_id)
        if kept.status not in GOING:
            raise NotRunning
        if status is Status.SUCCEEDED and (kept.is_stopping or kept.status is Status.CANCELLING):
            raise NotRunning
        self._write(replace(kept, status=status, outputs=outputs, done=(*kept.done, *segments)))
        return Settled(batch.done_before.union(batch.segments), is_final=True)

    def _outputs(self, batch: Batch) -> dict[str, Any]:
        return outputs_of(batch.plan, _all_outputs(batch, self._read(batch.execution_id)))

    def _settled_before(self, batch: Batch) -> Settled | None:
        claims = [ended.claim for ended in batch.ended if ended.claim]
        kept = self.kept[batch.execution_id]
        for claim in claims:
            row = kept.rows.get((claim.node_key, claim.path))
            if row is None or row.fence != claim.fence or row.status is NodeStatus.RUNNING:
                return None
        if not claims:
            return None
        is_same_cut = batch.plan.mark == kept.plan.mark
        done = frozenset(kept.done) if is_same_cut else batch.done_before.union(batch.segments)
        return Settled(done, is_stopping=kept.is_stopping, is_final=kept.is_final)

    def _end_stopped(self, execution_id: UUID) -> None:
        kept = self._read(execution_id)
        state = Settled(frozenset(), is_stopping=True, is_cancelling=True)
        self._stop_if_idle(Batch(kept.id, kept.plan, ""), state)

    def _without_idle(self, kept: Kept, *, keeps_errors: bool) -> Kept:
        """`cancel_rows.sql`: cancel the firings that nobody runs, and everything that is waited for."""

        def idle(row: Row) -> Row:
            error_code = row.error_code if keeps_errors else ""
            return replace(row, status=NodeStatus.CANCELLED, lease_expires_at=None, due_at=None, error_code=error_code)

        return replace(
            kept,
            rows={
                place: row if row.is_final or row.is_live(self.clock.now) else idle(row)
                for place, row in kept.rows.items()
            },
            waits={
                place: replace(wait, status=WaitStatus.CANCELLED) if wait.status is WaitStatus.OPEN else wait
                for place, wait in kept.waits.items()
            },
        )

    def _read(self, execution_id: UUID) -> Kept:
        if self._open is not None and execution_id in self._open:
            return self._open[execution_id]
        return self.kept[execution_id]

    def _write(self, kept: Kept) -> None:
        assert self._open is not None, "there is no transaction"
        self._open[kept.id] = kept

    @contextmanager
    def _transaction(self, *, is_relaxed: bool = False) -> Iterator[None]:
        assert self._open is None, "a transaction is open already"
        self._open = {}
        try:
            yield
            written = self._open
        finally:
            self._open = None
        for kept in written.values():
            before = self.kept.get(kept.id)
            self.kept[kept.id] = kept
            self._audit(before, kept)
        if written and not is_relaxed:
            self._durable = dict(self.kept)


def _all_outputs(batch: Batch, kept: Kept) -> dict[int, dict[Path, Outcome]]:
    ended = dict(batch.known_outputs)
    for node in batch.plan.outputs:
        if node.index not in batch.known_outputs:
            ended[node.index] = {path: row.outcome for (key, path), row in kept.rows.items() if key == node.key}
    return ended
