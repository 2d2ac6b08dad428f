"""`bin/faults`: work under faults for some minutes on a platform of its own, then count what is wrong."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.faults import rabbit
from tests.faults.schedule import make_schedule
from tests.faults.stack import SHORT_LEASES, Stack

FOUND_SOMETHING, NOT_CARRIED_OUT = 1, 2
#: What only one of the brokers can do.
OF_VALKEY_ONLY = ("flush broker",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out what was asked for. Return 0 if nothing is wrong, 1 if something is, 2 if it could not be carried out."""
    options = _parser().parse_args(arguments)
    if options.broker == "rabbitmq" and not rabbit.is_installed():
        print("RabbitMQ is not installed. On Debian, as root: apt-get install -y rabbitmq-server", file=sys.stderr)
        return NOT_CARRIED_OUT
    _stop_by_signals()
    if options.recovery:
        return _measure_recovery(options.recovery)
    return _carry_out(options)


def _carry_out(options: argparse.Namespace) -> int:
    duration_s = options.minutes * 60
    without = () if options.broker == "valkey" else OF_VALKEY_ONLY
    faults = make_schedule(options.seed, duration_s=duration_s, without=without)
    print(f"seed {options.seed}, {options.minutes:g} minutes, {options.broker}, {len(faults)} faults")
    if options.dry_run:
        print(*faults, sep="\n")
        return 0
    # Schedules of the work come each few seconds.
    settings = {**SHORT_LEASES, "AGENTPLATFORM_MIN_SCHEDULE_INTERVAL_S": "1"}
    with _prepared(options.broker, settings, keep=options.keep) as stack:
        from tests.faults.campaign import Campaign

        report = Campaign(stack, faults, duration_s, options.seed, say=_say).carry_out()
    print(*report.lines(), sep="\n")
    return FOUND_SOMETHING if report.wrong else 0


def _measure_recovery(kills: int) -> int:
    # The platform's own leases, unless the caller's environment says otherwise.
    with _prepared("valkey", {}, keep=False) as stack:
        from tests.faults.killing import measure

        measure(stack, kills, say=_say)
    return 0


@contextmanager
def _prepared(broker: str, leases: Mapping[str, str], *, keep: bool) -> Iterator[Stack]:
    """Run the servers, and let Django in this process use them."""
    folder = Path(tempfile.mkdtemp(prefix="agentplatform-faults-"))
    folder.chmod(0o711)  # PostgreSQL's own user passes through to its data
    stack = Stack(folder / "stack", broker=broker, leases=leases)
    try:
        stack.start()
        os.environ.update(stack.environment)
        _set_up_django()
        for member in (stack.web(), stack.beat()):
            member.wait()
        yield stack
    finally:
        if keep:
            shutil.copytree(stack.logs, folder / "logs")
            print(f"logs: {folder / 'logs'}")
        stack.stop()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _set_up_django() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)


def _say(text: str) -> None:
    print(text, flush=True)


def _stop_by_signals() -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of the schedule (default: any)")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long faults strike (default: 5)")
    parser.add_argument("--broker", choices=["valkey", "rabbitmq"], default="valkey", help="which carries the messages")
    parser.add_argument("--dry-run", action="store_true", help="only print the schedule")
    parser.add_argument("--keep", action="store_true", help="keep the logs of all processes")
    parser.add_argument(
        "--recovery", type=int, metavar="KILLS", help="instead: kill the only worker so often, and measure"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
