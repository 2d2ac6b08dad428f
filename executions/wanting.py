"""What a lane wants to claim: a firing with its values, and what it may cost."""

from __future__ import annotations

from typing import Any

from agentplatform.lib.errors import AppError
from agentplatform.lib.masking import Mask
from blocks import registry
from blocks.sdk import Effects
from executions import keys, quotes
from executions.begun import Family
from executions.engine.items import Path
from executions.engine.plan import PlanNode
from executions.leases import Wanted

#: What a firing is given, or why that could not be put together.
Values = dict[str, Any] | AppError


def wanted_of(node: PlanNode, path: Path, values: Values, family: Family, mask: Mask) -> tuple[Wanted, Values]:
    """Return a firing as it is claimed, and its values: an error instead, where nobody can say what it may cost."""
    hold = 0
    if isinstance(values, dict) and is_priced(node):
        try:
            hold = quotes.hold_for(node, values, is_own_key=keys.is_own_key(node, family.owner_id))
        except AppError as error:
            values = error
    # What the block is given is not what is kept of it.
    given = mask.value(values) if isinstance(values, dict) else {}
    is_once = node.block.effects is Effects.AT_MOST_ONCE
    return Wanted(node.key, path, given, is_once=is_once, hold_microcredits=hold), values


def is_priced(node: PlanNode) -> bool:
    """Say whether a firing of this node may cost something: then it is claimed, however quickly it runs."""
    try:
        return registry.runnable(node.block_id).cost_config is not None
    except AppError:
        # It fails as soon as it is to be run, and costs nothing.
        return False
