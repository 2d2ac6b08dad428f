"""How a block runs another graph as a part of its own firing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SubGraph:
    """A call of another graph: which one, and what it is given."""

    #: Its newest published version is run, unless a version is named.
    graph_id: str = ""
    version_id: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    #: Given only where the graph declares an input of that name.
    optional: Mapping[str, Any] = field(default_factory=dict)
    #: Which call of its firing this is: the same key is the same execution, also when the block runs again. Without, calls are numbered.
    key: str | None = None
