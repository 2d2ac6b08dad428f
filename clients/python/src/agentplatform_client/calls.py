"""What is asked, as a value: so each call is written once, for the client that waits and for the one that awaits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import IO, Any, Generic, Self, TypeVar
from urllib.parse import quote

T_co = TypeVar("T_co", covariant=True)

API = "/api/v1"
IF_MATCH = "If-Match"


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """One request, and what its answer is; made by the functions of `executions`, `graphs` and `approvals`."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: The answer is a text and no JSON.
    is_text: bool = False
    #: The answer is bytes.
    is_bytes: bool = False
    #: Sent as a form, with a file in it: its name, its content and what it is.
    form: Mapping[str, str] = field(default_factory=dict)
    upload: tuple[str, bytes | IO[bytes], str] | None = None

    @property
    def is_repeatable(self) -> bool:
        """Say whether sending it twice is the same as sending it once."""
        # Sent once more, it would find its own change in the way.
        is_guarded = IF_MATCH in self.headers
        return (self.method in ("GET", "PUT", "DELETE") and not is_guarded) or "Idempotency-Key" in self.headers

    @property
    def is_used_up(self) -> bool:
        """Say whether what it brings can be read once only, as from a pipe: sent again, it would bring nothing."""
        content = self.upload[1] if self.upload else b""
        return not isinstance(content, bytes) and not content.seekable()

    def only_if(self, etag: str) -> Self:
        """Return this edit as one that is carried out only if the thing is still as `Client.read` found it."""
        return replace(self, headers={**self.headers, IF_MATCH: etag})


@dataclass(frozen=True, slots=True)
class Read(Generic[T_co]):
    """An answer, and the tag of the state that it shows."""

    answer: T_co
    etag: str


def at(*parts: object) -> str:
    """Return the address of something of the API; whatever the parts hold, they stay parts."""
    return "/".join([API, *(quote(str(part), safe="") for part in parts), ""])


def given(**values: Any) -> dict[str, Any]:
    """Return what was given: what is None was not."""
    return {name: value for name, value in values.items() if value is not None}
