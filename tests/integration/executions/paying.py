"""Blocks that cost something, and owners who pay for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connection

from blocks import registry
from blocks.sdk import Block, BlockCostConfig, BlockError, BlockSchema, Placement
from executions import launch, ledger, runner
from executions.engine.compile import Chain, Lane
from executions.engine.money import AccountKind
from executions.messages import Work
from executions.models import Account, Execution, Hold, LedgerEntry
from graphs.models import GraphVersion
from tests.blocks import AnyOutput, NodeSpec, facts_of
from tests.factories import make_execution, make_published, make_user

#: What is held for each of them, in micro-credits.
HELD = 100


class PaidInput(BlockSchema):
    input: Any = None
    #: In micro-credits.
    costs: int = 70
    fails: bool = False


class Paid(Block):
    """Costs what it is told to."""

    id = "paid.io"
    name = "Paid"
    description = "Reports that it cost so much."
    placement = Placement.IO
    input_schema, output_schema = PaidInput, AnyOutput
    cost_config = BlockCostConfig("usd", 1, at_most=HELD / 1_000_000)

    async def execute(self, input_data: PaidInput) -> AsyncIterator[tuple[str, Any]]:
        """Report, then yield or fail."""
        self.report_usage(usd=input_data.costs / 1_000_000)
        if input_data.fails:
            raise BlockError("As it was told.", code="PROBE_FAILED")
        yield "output", input_data.input


class PaidInline(Paid):
    id = "paid.inline"
    placement = Placement.INLINE


class PaidSlowly(Paid):
    id = "paid.slowly"

    async def execute(self, input_data: PaidInput) -> AsyncIterator[tuple[str, Any]]:
        """Report, then wait until it is interrupted."""
        self.report_usage(usd=input_data.costs / 1_000_000)
        await asyncio.sleep(60)
        yield "output", 1


PAID = [Paid, PaidInline, PaidSlowly]


def paid(key: str = "only", block: type[Block] = Paid, *, on_error: str = "fail", **constants: Any) -> NodeSpec:
    """Return a node of a block that costs something."""
    return NodeSpec(key, block.id, constants, on_error, block=facts_of(block))


def published(*nodes: NodeSpec, links: Any = (), owner: Any = None) -> GraphVersion:
    """Return a published graph of such nodes."""
    registry.register(*PAID)
    return make_published(nodes or [paid()], links, owner)


def make_payer(microcredits: int) -> Any:
    """Return a user with so much credit, all of it paid before."""
    owner = make_user()
    ledger.set_overdraft(owner.pk, 0)
    if microcredits:
        ledger.grant(owner.pk, microcredits, key="first")
    return owner


def begun(version: GraphVersion | None = None, *, credit: int | None = None, **fields: Any) -> Execution:
    """Return an execution of which nothing has been claimed."""
    owner = make_payer(credit) if credit is not None else None
    return make_execution(version or published(owner=owner), **fields)


def money_of(execution: Execution) -> tuple[int, int]:
    """Return the credit of its owner, and what is held of it."""
    balance = ledger.balance_of(execution.owner_id)
    return balance.credit_microcredits, balance.held_microcredits


def entries_of(execution_id: UUID) -> list[tuple[str, int]]:
    """Return what was moved for an execution, in order."""
    rows = LedgerEntry.objects.filter(execution_id=execution_id).order_by("id")
    return list(rows.values_list("kind", "amount_microcredits"))


def run(execution: Execution, *, rounds: int = 10) -> Execution:
    """Run an execution on a thread, as a worker does, until it has ended."""

    def drive() -> None:
        try:
            for _ in range(rounds):
                canvases = launch.compile_rest(Execution.objects.get(pk=execution.pk))
                lanes = [lane for canvas in canvases for lane in lanes_of(canvas)]
                runner.run_lanes([Work(execution.pk, lane) for lane in lanes])
                if Execution.objects.get(pk=execution.pk).is_final:
                    return
        finally:
            connection.close()

    thread = threading.Thread(target=drive, daemon=True)
    thread.start()
    thread.join(15)
    assert not thread.is_alive(), "It waits for ever."
    execution.refresh_from_db()
    return execution


def lanes_of(canvas: Any) -> Iterator[Lane]:
    if isinstance(canvas, Lane):
        yield canvas
    elif isinstance(canvas, Chain):
        yield canvas.lanes[0]
    else:
        yield from canvas.header


def assert_adds_up(*owner_ids: int) -> None:
    """Find the balances of these owners to be what their entries and holds say."""
    for owner_id in owner_ids:
        for account in Account.objects.filter(owner_id=owner_id):
            rows = LedgerEntry.objects.filter(owner_id=owner_id)
            inward = sum(rows.filter(credit_id=account.pk).values_list("amount_microcredits", flat=True))
            outward = sum(rows.filter(debit_id=account.pk).values_list("amount_microcredits", flat=True))
            assert account.balance_microcredits == inward - outward
            if account.kind == AccountKind.HELD:
                held = sum(Hold.objects.filter(owner_id=owner_id).values_list("amount_microcredits", flat=True))
                assert account.balance_microcredits == held
            elif account.overdraft_microcredits is not None:
                assert account.balance_microcredits >= -account.overdraft_microcredits


@contextmanager
def nobody_connected() -> Iterator[None]:
    """End the connections of this process's worker threads afterwards: they must not outlive the test's database."""
    yield
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
