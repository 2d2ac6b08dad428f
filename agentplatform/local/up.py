"""`bin/up`: the whole platform on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import sys
import time

from agentplatform.local.errors import LocalError
from agentplatform.local.paths import LOCAL, ROOT
from agentplatform.local.ports import LOOPBACK, free_port
from agentplatform.local.stack import Admin, Stack, running_stack
from agentplatform.local.supervisor import Interrupted, Supervisor, say

DEFAULT_PORT = 8000


def main() -> int:
    """Start everything, say where it is, and watch over it. Return the exit code."""
    asked = _parse()
    supervisor = Supervisor(LOCAL / "logs")
    try:
        with running_stack(supervisor) as stack:
            started_at = time.monotonic()
            stack.start_servers()
            admin = stack.prepare_with_admin()
            if admin.password:  # at once: if the start fails below, it is made all the same
                say(f"Log in as {admin.username} with the password {admin.password} (shown only this once).\n")
            port = free_port(asked.port, asked.host)
            stack.start_workers(stack.web(host=asked.host, port=port))
            stack.publish()
            stack.start_beat()
            _greet(stack, admin=admin, port=port, wanted=asked.port, took_s=time.monotonic() - started_at)
            supervisor.watch()
    except Interrupted:
        say("Stopped.")
        return 0
    except KeyboardInterrupt:
        return 130  # before anything was begun
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/up",
        description="Start the platform: console, API, workers, beat, and each server that no variable names.",
        epilog="DATABASE_URL, REDIS_URL, BROKER_URL, OPENAI_BASE_URL, OPENAI_API_KEY: your own (docs/settings.md).",
    )
    port = os.environ.get("AGENTPLATFORM_PORT", str(DEFAULT_PORT))
    parser.add_argument(
        "--port", type=_port, default=port, help="of console and API (default: %(default)s, or a free one)"
    )
    parser.add_argument(
        "--host",
        default=LOOPBACK,
        help="address to listen on (default: %(default)s, this machine only); its names in AGENTPLATFORM_ALLOWED_HOSTS",
    )
    return parser.parse_args()


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 2**16):
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def _greet(stack: Stack, *, admin: Admin, port: int, wanted: int, took_s: float) -> None:
    url = f"http://localhost:{port}"
    lines = [
        f"agentplatform is ready after {took_s:.1f} s." + (f" Port {wanted} is taken, so:" if port != wanted else ""),
        "",
        f"  Console    {url}/admin/",
        f"  Log in     {admin.username}, with the password "
        + ("above" if admin.password else f"of the first start; a new one: bin/manage changepassword {admin.username}"),
        f"  API        {url}/api/docs/",
        f"             curl -H \"Authorization: Bearer $(cat '{LOCAL / 'api_key'}')\" {url}/api/v1/",
        f"  Model      {stack.environment.get('OPENAI_MODEL', 'gpt-4o-mini')}"
        f" at {stack.environment.get('OPENAI_BASE_URL') or 'OpenAI'}",
        f"  Logs       {LOCAL / 'logs'}",
        f"  Commands   {ROOT / 'bin' / 'manage'} help",
        "",
        "Ctrl-C stops it.",
    ]
    say("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
