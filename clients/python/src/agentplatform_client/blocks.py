"""What can be asked of the blocks that are installed."""

from __future__ import annotations

from agentplatform_client.calls import Call, at
from agentplatform_client.types import Block


def find() -> Call[list[Block]]:
    """List all there are."""
    return Call("GET", at("blocks"))


def get(block_id: str) -> Call[Block]:
    """Look at one: what it takes and gives."""
    return Call("GET", at("blocks", block_id))
