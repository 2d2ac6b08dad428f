"""What a version remembers of its blocks, so that a later release can not change what is under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from blocks.sdk import Block, BlockType, Effects, Placement


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """What planning needs to know of a block."""

    placement: Placement = Placement.INLINE
    block_type: BlockType = BlockType.STANDARD
    effects: Effects = Effects.NONE
    streams: frozenset[str] = frozenset()
    gathers: str | None = None

    @classmethod
    def of(cls, block: type[Block]) -> Self:
        """Return what `block` declares today."""
        return cls(block.placement, block.block_type, block.effects, frozenset(block.streams), block.gathers)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return what was stored.

        Raises:
            ValueError: this release does not know such facts.
        """
        return cls(
            Placement(data["placement"]),
            BlockType(data["block_type"]),
            Effects(data["effects"]),
            frozenset(data["streams"]),
            data["gathers"],
        )

    def as_data(self) -> dict[str, Any]:
        """Return the form in which a version keeps them."""
        return {
            "placement": self.placement.value,
            "block_type": self.block_type.value,
            "effects": self.effects.value,
            "streams": sorted(self.streams),
            "gathers": self.gathers,
        }
