"""The files that inputs refer to: there, and their owner's, before anything is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from blocks.sdk.files import ID, is_reference
from files.errors import FileNotFound
from files.models import File


def refuse_unknown(inputs: Mapping[str, Any], owner_id: int, *, path: str = "inputs") -> None:
    """See to it that each file that a value refers to is the owner's.

    Raises:
        FileNotFound: one is not; with the path to it.
    """
    references = list(_references(inputs, path))
    if not references:
        return
    ids = {at: _as_id(said) for at, said in references}
    known = set(
        File.objects.of(owner_id).filter(pk__in=[one for one in ids.values() if one]).values_list("pk", flat=True)
    )
    for at, file_id in ids.items():
        if file_id not in known:
            raise FileNotFound(path=f"{at}.{ID}")


def files_in(inputs: Mapping[str, Any]) -> set[UUID]:
    """Return the files that inputs refer to, which were looked at before."""
    return {file_id for _, said in _references(inputs, "") if (file_id := _as_id(said))}


def _references(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if is_reference(value):
        yield path, value[ID]
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _references(part, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _references(part, f"{path}.{index}")


def _as_id(said: Any) -> UUID | None:
    try:
        return UUID(str(said))
    except ValueError:
        return None
