#!/usr/bin/env python
"""Django's commands: `bin/manage help` runs them against the servers of a running bin/up."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError

from agentplatform.lib.errors import AppError


def main() -> None:
    """Run a command. What an operator can put right is told in a line, with `--traceback` in full."""
    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)  # whoever pressed Ctrl-C knows why it ends; a command that has more to say has said it
    except (ImproperlyConfigured, AppError, OperationalError) as error:
        # What PostgreSQL itself has refused has a code, and its traceback says where.
        is_answered = isinstance(error, OperationalError) and getattr(error.__cause__, "sqlstate", None) is not None
        if is_answered or "--traceback" in sys.argv:
            raise
        lead = "The database does not answer: " if isinstance(error, OperationalError) else ""
        sys.exit(f"{lead}{str(error).strip()} {getattr(error, 'hint', '')}".strip())


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentplatform.settings")
    main()
