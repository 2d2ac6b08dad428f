"""`bin/manage`: manage.py in the environment of the platform that runs from this folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from agentplatform.local.errors import LocalError
from agentplatform.local.paths import ROOT
from agentplatform.local.stack import environment_of_running, local_environment

# These look at no server, so they work without one.
OFFLINE = frozenset({"help", "makemigrations", "check", "explain", "collectstatic", "spectacular", "--help", "version"})


def main() -> int:
    """Run manage.py and return its exit code."""
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    try:
        environment = environment_of_running()
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if environment is None and "DATABASE_URL" not in os.environ and command not in OFFLINE:
        print("Nothing runs from this folder. Start bin/up in another terminal, or set DATABASE_URL.", file=sys.stderr)
        return 1
    argv = [sys.executable, str(ROOT / "manage.py"), *sys.argv[1:]]
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches the command too, which has the answer
    return subprocess.run(argv, env=environment or local_environment()).returncode


if __name__ == "__main__":
    sys.exit(main())
