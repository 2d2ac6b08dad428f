"""The terminal as rich sees it, through a command's own streams."""

from __future__ import annotations

from typing import IO, cast

from django.core.management.base import OutputWrapper
from rich.console import Console

#: Nothing is folded where a program reads.
PIPE_WIDTH = 500


def console_on(stream: OutputWrapper) -> Console:
    """Return a console that writes to `stream`: with colours in a terminal, plain everywhere else."""
    stream.ending = ""  # rich writes its own line ends
    is_terminal = stream.isatty()
    return Console(
        file=cast(IO[str], stream),
        width=None if is_terminal else PIPE_WIDTH,
        force_terminal=is_terminal,
        highlight=False,
        markup=False,
        emoji=False,
    )


def printable(text: str) -> str:
    """Return `text` without what would steer the terminal: only printable characters and line ends pass."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text)
