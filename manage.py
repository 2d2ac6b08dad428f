#!/usr/bin/env python
"""Django's commands: `bin/manage help` runs them against the servers of a running bin/up."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentplatform.settings")
    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)  # whoever pressed Ctrl-C knows why it ends; a command that has more to say has said it
