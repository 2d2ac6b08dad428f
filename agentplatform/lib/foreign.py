"""Words of others, made fit for our own messages: a database refuses some characters, a terminal obeys others."""

from __future__ import annotations


def quoted(text: object, *, limit: int = 200) -> str:
    """Return `text` cut at `limit` characters, with what can not be printed replaced."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(text)[:limit])
