"""`bin/demo`: the example agent on real servers, from nothing to its result; stops what it started."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping

from agentplatform.local.errors import LocalError
from agentplatform.local.paths import LOCAL, ROOT
from agentplatform.local.stack import environment_of_running, running_stack
from agentplatform.local.supervisor import Interrupted, Supervisor


def main() -> int:
    """Run the demo on the platform that runs here, or on one of its own. Return the exit code of the command."""
    options = _parse()
    supervisor = Supervisor(LOCAL / "logs")
    try:
        if environment := environment_of_running():
            return _watch(options, environment)
        with running_stack(supervisor) as stack:
            print("Starting PostgreSQL, Valkey and a small language model …", flush=True)
            stack.start_servers()
            stack.prepare()
            print("Starting workers …", flush=True)
            stack.start_workers()
            stack.start_beat()
            stack.publish()
            return _run(options, stack.environment, supervisor)
    except Interrupted:
        print("Stopped. What had begun goes on as soon as bin/demo or bin/up runs here again.", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        return 130
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1


def _parse() -> list[str]:
    parser = argparse.ArgumentParser(
        prog="bin/demo",
        description="Run the example agent on real PostgreSQL, Valkey, Celery workers and a small language model.",
        epilog="Other options go to `manage.py demo`.",
    )
    return parser.parse_known_args()[1]


def _run(options: list[str], environment: Mapping[str, str], supervisor: Supervisor) -> int:
    with _begin(options, environment) as demo:
        try:
            supervisor.watch(until=lambda: demo.poll() is not None)
        finally:
            if demo.poll() is None:
                demo.terminate()
    supervisor.look()  # Ctrl-C ends the command too: that is no result of its own
    return demo.returncode


def _watch(options: list[str], environment: Mapping[str, str]) -> int:
    with _begin(options, environment) as demo:
        try:
            return demo.wait()
        except KeyboardInterrupt:
            print("It goes on in the platform that runs here; nobody watches it any more.", file=sys.stderr)
            return 130


def _begin(options: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "demo", *options], env=dict(environment), cwd=ROOT
    )


if __name__ == "__main__":
    sys.exit(main())
