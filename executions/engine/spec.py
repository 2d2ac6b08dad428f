"""A graph version as the engine sees it: plain data, without Django and without blocks' code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from blocks.facts import BlockFacts
from blocks.sdk import Retry

__all__ = ["BlockFacts", "LinkSpec", "NodeSpec"]


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node: its key, its block, the constants on its pins, what a failure means, and how long and how often it is tried."""

    key: str
    block_id: str
    constants: Mapping[str, Any] = field(default_factory=dict)
    on_error: str = "fail"
    block: BlockFacts = field(default_factory=BlockFacts)
    #: Its own, or else its block's.
    retry: Retry | None = None
    timeout_s: float | None = None
    #: By provider, the credential that it names.
    credentials: Mapping[str, UUID] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """One link between pin addresses (`name`, `name_#_key`, `name_$_0`, `name_@_attr`)."""

    source: str
    source_pin: str
    sink: str
    sink_pin: str
    is_static: bool = False
