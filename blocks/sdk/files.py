"""Files as blocks see them: a reference travels on pins, the content is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

#: A value on a pin refers to a file if it has the first, and nothing but these.
ID: Final = "file_id"
PARTS: Final = frozenset({ID, "name", "content_type", "size"})


class FileRef(BaseModel):
    """A file on a pin. Only its id counts; the rest is told for whoever reads the value."""

    model_config = ConfigDict(extra="forbid")

    file_id: UUID = Field(description="The id of a file of the owner's.")
    name: str = ""
    content_type: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class FileContent:
    """What is in a file, and what it is called."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that a block writes. By its key it is known when the firing is repeated; without one, by its number among those."""

    name: str
    content: bytes
    content_type: str = ""
    expires_in_s: float | None = None
    key: str | None = None


def is_reference(value: Any) -> bool:
    """Say whether a value refers to a file. What merely has a `file_id` among other things does not."""
    return isinstance(value, Mapping) and ID in value and PARTS.issuperset(value)
