"""Which pull request is meant: `owner/repo#12`, and how it travels along in the first line of a text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from blocks.sdk import BlockError

_REFERENCE = re.compile(r"([A-Za-z0-9-]{1,39})/([A-Za-z0-9._-]{1,100})#([1-9][0-9]{0,9})")


@dataclass(frozen=True, slots=True)
class Reference:
    """One pull request, or one issue."""

    owner: str
    repository: str
    number: int

    def __str__(self) -> str:
        return f"{self.owner}/{self.repository}#{self.number}"

    @property
    def path(self) -> str:
        """Return the address of its repository, below that of the API."""
        return f"/repos/{self.owner}/{self.repository}"


def parse(text: str) -> Reference:
    """Return the pull request that `text` names.

    Raises:
        BlockError: it names none (`REFERENCE_INVALID`).
    """
    match = _REFERENCE.fullmatch(text.strip())
    # Two dots would be a step up in the address.
    if match is None or set(match[2]) == {"."}:
        raise BlockError(
            f"{text[:80]!r} names no pull request.", code="REFERENCE_INVALID", hint="Write `owner/repository#12`."
        )
    return Reference(match[1], match[2], int(match[3]))


def with_header(kind: str, reference: Reference | None, text: str) -> str:
    """Return `text` below a first line that says what it is of."""
    return f"{kind} of {reference}\n\n{text}" if reference else f"{kind}\n\n{text}"


def from_header(kind: str, text: str) -> Reference | None:
    """Return what the first line of `text` says that it is of, if it says so."""
    first = text.partition("\n")[0].strip()
    match = _REFERENCE.fullmatch(first.removeprefix(f"{kind} of ")) if first.startswith(f"{kind} of ") else None
    return parse(match[0]) if match else None
