"""What the exit code of the command says."""

from __future__ import annotations

#: It was done; the execution succeeded; nothing differs.
SUCCEEDED = 0
#: The execution did not succeed; something differs.
FAILED = 1
#: It was asked wrongly: on the command line, in a file, or by what the platform does not take.
USAGE = 2
NOT_FOUND = 3
#: The key is not known, or may not do this.
REFUSED = 4
UNREACHABLE = 5
#: `--timeout` was over; the execution goes on.
TIMED_OUT = 6
INTERRUPTED = 130
