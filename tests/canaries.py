"""I11 over all that the suite makes: every test's secrets begin alike, so that one look finds any of them, wherever it was written."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

#: How the secrets of tests begin. One that a test writes somewhere on purpose begins otherwise.
CANARY = "sk-CANARY"
AT_ONCE = 1 << 20


def forms_of(text: str) -> list[str]:
    """Return how a text looks as it is, backwards, in hex and in Base64, wherever it begins in what was encoded."""
    forms = [text, text[::-1], text.encode().hex()]
    for before in range(3):
        encoded = b64encode(b"\0" * before + text.encode()).decode().rstrip("=")
        # Of the first and the last characters, some bits are of what stands around it.
        forms.append(encoded[{0: 0, 1: 2, 2: 3}[before] : -1])
    return forms


FORMS = forms_of(CANARY)
PATTERN = "|".join(map(re.escape, FORMS))
_BYTES = re.compile("|".join(map(re.escape, FORMS)).encode())


def files_with_one(folder: Path) -> Iterator[str]:
    """Yield each file below a folder that holds one, with what stands around it: logs, what brokers keep, what databases write."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and (found := _in_file(path)):
            yield f"{path.relative_to(folder)}: {found}"


def _in_file(path: Path) -> str:
    kept = b""
    try:
        with path.open("rb") as file:
            while read := file.read(AT_ONCE):
                text = kept + read
                if found := _BYTES.search(text):
                    return repr(text[max(0, found.start() - 80) : found.end() + 40])
                kept = text[-200:]
    except OSError:
        pass  # it was there a moment ago: servers remove files as they go
    return ""
