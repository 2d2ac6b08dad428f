"""Refuse at once what could surely not be paid: nothing is stored of it, and whoever asks hears what is short.

It goes by the least that surely has to be held, and by the most that there could be. What may be paid is decided by the holds, as ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from uuid import UUID

from django.conf import settings

from agentplatform.lib.errors import AppError
from agentplatform.lib.money import show
from blocks import registry
from blocks.sdk import BlockError, BlockType
from executions import budgets, keys, quotes, statements
from executions.charging import OF_SCOPE
from executions.engine.money import AccountKind, BudgetPeriod, BudgetScope, account_id
from executions.engine.plan import Feed, Plan, PlanNode
from executions.errors import BudgetExceeded
from executions.models import Execution
from executions.plans import plan_of
from graphs.pins import parse

OWN_BUDGET = "budget_microcredits"


def refuse_unpayable(
    execution: Execution, *, budget_microcredits: int | None, only: Collection[str] | None = None
) -> None:
    """See to it that an execution which is about to be written could be paid. Of a graph that costs nothing nobody is asked.

    `only` are the nodes that are known to run of one that goes on from an earlier one.

    Raises:
        AmountInvalid: the budget is no amount.
        BudgetExceeded: a node that surely runs costs more than there is left of the credit, or of a budget.
    """
    if budget_microcredits is not None:
        budgets.check(budget_microcredits)
    surely = _paid_nodes(execution.version_id) if only is None else _paid(plan_of(execution.version_id), only)
    if not surely:
        return
    wanted = [(_least(node), node) for node in surely if not keys.is_own_key(node, execution.owner_id)]
    most, node = max(wanted, key=lambda pair: pair[0], default=(0, None))
    if node is None or not most:
        return
    if budget_microcredits is not None and budget_microcredits < most:
        raise _refusal(node, most, budget_microcredits, f"the budget of {OF_SCOPE[BudgetScope.EXECUTION]}", OWN_BUDGET)
    for left, what in _purses(execution):
        if left < most:
            raise _refusal(node, most, left, what, f"nodes.{node.key}")


def _purses(execution: Execution) -> Iterator[tuple[int, str]]:
    """Yield what could be spent at the most, and of what: the credit of the owner, and the budgets that would count."""
    owner_id = execution.owner_id
    with statements.cursor() as cursor:
        statements.run(
            cursor,
            "money_left",
            credit_id=account_id(AccountKind.CREDIT, owner_id),
            held_id=account_id(AccountKind.HELD, owner_id),
            graph_id=str(execution.graph_id),
            api_key=execution.api_key,
            owner_id=str(owner_id),
        )
        rows = cursor.fetchall()
    credit = [left for scope, _, left in rows if scope == AccountKind.CREDIT]
    for left in credit or [settings.AGENTPLATFORM_DEFAULT_OVERDRAFT_MICROCREDITS]:
        if left is not None:
            yield left, "the credit of its owner"
    for scope, period, left in rows:
        if scope != AccountKind.CREDIT:
            day = " of today" if period == BudgetPeriod.DAY else ""
            yield left, f"the budget{day} of {OF_SCOPE[BudgetScope(scope)]}"


def _refusal(node: PlanNode, most: int, left: int, what: str, path: str) -> BudgetExceeded:
    left = max(0, left)
    error = BudgetExceeded(
        f"{node.key} may cost {show(most)}, and {what} has only {show(left)} left: {show(most - left)} too little.",
        hint="Top up the credit or raise the budget, then start it. Nothing was stored of it.",
        path=path,
    )
    error.facts = {"shortfall_microcredits": most - left}
    return error


def _least(node: PlanNode) -> int:
    """Return the least that has to be held for a firing of a node: nothing where that depends on what it is given."""
    if not quotes.is_known_before(node):
        return 0
    try:
        return quotes.hold_for(node, node.constants, is_own_key=False)
    except (BlockError, AppError):
        # It fails for a reason of its own, which its node then tells.
        return 0


@lru_cache(maxsize=512)
def _paid_nodes(version_id: UUID) -> tuple[PlanNode, ...]:
    """Return the nodes of a version that cost something and fire in every execution that does not fail before."""
    plan = plan_of(version_id)
    return _paid(plan, _sure(plan))


def _paid(plan: Plan, keys_: Iterable[str]) -> tuple[PlanNode, ...]:
    wanted = frozenset(keys_)
    return tuple(node for node in plan.nodes if node.key in wanted and quotes.costs(node))


def _sure(plan: Plan) -> frozenset[str]:
    """Return the nodes that fire unless something fails: each has only what surely comes in front of it."""
    sure: set[int] = set()
    # In the order of the plan, so that what comes before is known.
    for node in plan.nodes:
        if all(_surely_comes(plan, feed, sure) for feed in node.feeds):
            sure.add(node.index)
    return frozenset(plan.nodes[index].key for index in sure)


def _surely_comes(plan: Plan, feed: Feed, sure: Collection[int]) -> bool:
    return not feed.is_gathered and any(
        source.node in sure and not source.is_stream and _yields(plan.nodes[source.node], str(source.pin))
        for source in feed.sources
    )


def _yields(node: PlanNode, address: str) -> bool:
    """Say whether a node yields on a pin whenever it fires and does not end the execution."""
    if node.on_error != "fail" or node.handles_errors or parse(address).steps:
        return False
    if node.block.block_type is BlockType.INPUT:
        return True
    try:
        return address in registry.get(node.block_id).always_yields
    except AppError:
        return False
