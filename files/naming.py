"""What somebody says that a file is called and is: only ever shown, so made such that it can be."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PureWindowsPath

from files.models import LONGEST_NAME, LONGEST_TYPE

UNKNOWN_TYPE = "application/octet-stream"
UNNAMED = "file"
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*", re.ASCII)
#: Control characters, and those by which a name looks like another: they turn the direction of writing, or are not seen.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def shown_name(said: str) -> str:
    """Return the last part of a name, whatever system it comes from, without what can not be seen."""
    last = PureWindowsPath(said.replace("\0", "")).name
    seen = "".join(one for one in last if unicodedata.category(one) not in _UNSEEN).strip(" .")
    return _cut(seen) or UNNAMED


def known_type(said: str) -> str:
    """Return a media type without its parameters, or that nothing is known."""
    kind = said.partition(";")[0].strip().lower()
    return kind if len(kind) <= LONGEST_TYPE and _TYPE.fullmatch(kind) else UNKNOWN_TYPE


def _cut(name: str) -> str:
    """Return a name that is short enough, with its ending if it has a usual one."""
    stem, dot, ending = name.rpartition(".")
    if len(name) <= LONGEST_NAME or not stem or len(ending) > 20:
        return name[:LONGEST_NAME]
    return stem[: LONGEST_NAME - len(ending) - 1] + dot + ending
