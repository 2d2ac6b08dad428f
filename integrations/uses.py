"""Where a credential is used. Who uses credentials lies above this app, and says so when it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Use:
    """A node that names a credential."""

    #: So many are looked for.
    MOST: ClassVar[int] = 1_000

    graph_id: UUID
    graph: str
    owner_id: int
    #: Of its version; None: of the draft.
    version: int | None
    node: str


Finder = Callable[[UUID, str], list[Use]]

_finders: list[Finder] = []


def register(finder: Finder) -> None:
    """Have `finder` asked for the nodes that name a credential, which it is given with its provider."""
    if finder not in _finders:
        _finders.append(finder)


def uses_of(credential_id: UUID, provider: str) -> list[Use]:
    """Return the nodes that name a credential."""
    return [use for finder in _finders for use in finder(credential_id, provider)]
