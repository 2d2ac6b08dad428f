"""What an execution is given, compared with what its graph declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blocks.sdk import BlockType
from executions import file_inputs
from executions.engine.plan import Plan
from executions.errors import InputsInvalid
from executions.storable import storable


def declared_inputs(plan: Plan) -> dict[str, bool]:
    """Return the names of the graph's inputs, and whether each has a default."""
    return {
        str(node.constants.get("name")): "default" in node.constants
        for node in plan.nodes
        if node.block.block_type is BlockType.INPUT
    }


def checked_inputs(inputs: Mapping[str, Any], plan: Plan, *, owner_id: int) -> dict[str, Any]:
    """Return the inputs as they are stored, after comparing them with what the graph declares.

    Raises:
        InputsInvalid: one is missing, unknown or can not be stored.
        FileNotFound: one refers to a file that is not the owner's.
    """
    declared = declared_inputs(plan)
    for name in inputs:
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise InputsInvalid(f"The graph has no input {name!r}. It has: {known}.", path=f"inputs.{name}")
    for name, has_default in declared.items():
        if name not in inputs and not has_default:
            raise InputsInvalid(f"The input {name!r} is missing.", path=f"inputs.{name}")
    stored = {name: storable(value, f"inputs.{name}", InputsInvalid) for name, value in inputs.items()}
    file_inputs.refuse_unknown(stored, owner_id)
    return stored
