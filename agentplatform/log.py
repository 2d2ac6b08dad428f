"""How a line of the log is written: without the secrets that this process has opened."""

from __future__ import annotations

import logging

from agentplatform.lib import masking


class MaskedFormatter(logging.Formatter):
    """Masks the whole line, with its arguments and its traceback, as the last thing before it is written."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return masking.in_log(super().format(record))
