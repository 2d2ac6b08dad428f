"""A graph version as the engine sees it: plain data, without Django and without blocks' code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from blocks.sdk import BlockType, Effects, Placement


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """What planning needs to know of a block."""

    placement: Placement = Placement.INLINE
    block_type: BlockType = BlockType.STANDARD
    effects: Effects = Effects.NONE
    streams: frozenset[str] = frozenset()
    gathers: str | None = None


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node: its key, its block, the constants on its pins, and what a failure means."""

    key: str
    block_id: str
    constants: Mapping[str, Any] = field(default_factory=dict)
    on_error: str = "fail"
    block: BlockFacts = BlockFacts()


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """One link between pin addresses (`name`, `name_#_key`, `name_$_0`, `name_@_attr`)."""

    source: str
    source_pin: str
    sink: str
    sink_pin: str
    is_static: bool = False
