"""The base of blocks that choose a way."""

from __future__ import annotations

from typing import ClassVar

from blocks.sdk.block import Block
from blocks.sdk.kinds import BlockType, Placement


class BranchingBlock(Block):
    """Yields on the pin of the way it chose; what depends on the other pins alone is skipped."""

    block_type: ClassVar[BlockType] = BlockType.BRANCHING
    placement: ClassVar[Placement] = Placement.INLINE
