"""What each block is, as data: what somebody needs who draws a graph."""

from __future__ import annotations

from typing import Any

from blocks import registry
from blocks.sdk import Block


def described() -> list[dict[str, Any]]:
    """Return every block that is installed here, in palette order."""
    return [describe(block) for block in registry.all_blocks()]


def describe(block: type[Block]) -> dict[str, Any]:
    """Return what a block takes, gives and is."""
    cost = block.cost_config
    return {
        "id": block.id,
        "name": block.name,
        "description": block.description,
        "placement": block.placement.value,
        "effects": block.effects.value,
        "is_disabled": block.disabled,
        "credentials_required": [str(provider) for provider in block.credentials_required],
        "cost": cost and {"type": cost.cost_type, "per_unit": float(cost.cost_per_unit), "provider": cost.provider},
        "streams": sorted(block.streams),
        "gathers": block.gathers or "",
        "input_schema": block.input_schema.model_json_schema(),
        "output_schema": block.output_schema.model_json_schema(),
    }
