"""What somebody gives from outside, as it is stored; or why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from pydantic_core import to_json

from agentplatform.lib.errors import AppError
from blocks.jsonable import jsonable


def storable(value: Any, path: str, refusal: type[AppError]) -> Any:
    """Return a value as JSON holds it.

    Raises:
        AppError: of the class `refusal`: it has no such form, or it would have to be changed to be stored, or it is too large.
    """
    try:
        kept = jsonable(value)
    except (ValueError, RecursionError) as error:
        raise refusal(f"This is not a JSON value: {error}.", path=path) from None
    # What a block yields is cleaned of NUL; what somebody asks for is not changed behind their back.
    if _is_altered(value, kept):
        raise refusal("This contains a NUL character or half a surrogate pair.", path=path, hint="Remove it.")
    size = len(to_json(kept))
    if size > settings.AGENTPLATFORM_MAX_OUTPUT_BYTES:
        raise refusal(f"This has {size:,} bytes.", path=path, hint="Give it in parts.")
    return kept


def _is_altered(given: Any, kept: Any) -> bool:
    """Say whether a text in `given` could not be kept as it is."""
    if isinstance(given, str):
        return bool(given != kept)
    if isinstance(given, Mapping):
        if len(given) != len(kept):
            return True
        pairs = zip(given.items(), kept.items(), strict=True)
        return any(_is_altered(key, its) or _is_altered(value, theirs) for (key, value), (its, theirs) in pairs)
    if isinstance(given, list | tuple) and isinstance(kept, list):
        return any(_is_altered(one, its) for one, its in zip(given, kept, strict=True))
    return False
