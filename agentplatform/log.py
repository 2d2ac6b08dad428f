"""How a line of the log is written: without the secrets that this process has opened, and with the name of the request it is about."""

from __future__ import annotations

import logging
from contextvars import ContextVar

from agentplatform.lib import masking

#: The request that is answered here, if one is.
REQUEST_ID: ContextVar[str] = ContextVar("REQUEST_ID", default="")


class WithoutTraceback(logging.Filter):
    """Leaves one line of what anybody can bring about who sends something odd."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the line through."""
        record.exc_info = record.exc_text = None
        return True


class MaskedFormatter(logging.Formatter):
    """Masks the whole line, with its arguments and its traceback, as the last thing before it is written."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        name = REQUEST_ID.get()
        return masking.in_log(super().format(record) + (f" [request {name}]" if name else ""))
