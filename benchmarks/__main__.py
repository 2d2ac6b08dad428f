"""`bin/bench`: measure ours, a hand-written Celery app and a durable floor in one run."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from benchmarks.accepting import Accepting
from benchmarks.cases import CASES, Case, case_named
from benchmarks.doors import BareDoor, StartDoor, WebhookDoor
from benchmarks.limiting import Limiting, RoundTrips
from benchmarks.measure import Measured, measure
from benchmarks.report import print_table, write_json
from benchmarks.servers import Servers, running_servers
from benchmarks.settling import Settling
from benchmarks.system import System

ALL_WITHIN_S = 1200
FAILED = 2
#: Of Valkey: no other system uses it.
LIMITER_DATABASE = 9


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report. Return 0 if everything was measured, whether or not the bars are met; 2 if not."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    cases = [case_named(name) for name in options.only] if options.only else list(CASES)
    try:
        with _stopped_by_signals(), running_servers() as servers:
            results, rss_mb = _measure_all(servers, cases, options, say=lambda text: console.print(text, style="dim"))
    except KeyboardInterrupt:
        console.print("Stopped before the end: nothing is reported.")
        return FAILED
    except Exception as error:  # noqa: BLE001 - whatever it was, there is no measurement, and the reason is shown
        console.print(f"[red]Not measured:[/] {type(error).__name__}: {escape(str(error))}")
        return FAILED
    print_table(results, rss_mb, console=Console())
    if options.json:
        write_json(options.json, results, rss_mb)
    return 0


def _measure_all(
    servers: Servers, cases: Sequence[Case], options: argparse.Namespace, *, say: Callable[[str], None]
) -> tuple[list[Measured], dict[str, float]]:
    with ExitStack() as stack:
        systems: list[System] = []
        for name in options.systems:
            say(f"starting {name}")
            systems.append(_system(name, servers))
            stack.callback(systems[-1].close)
        results = []
        for case in cases:
            rounds = case.rounds_quick if options.quick else case.rounds_full
            taking_part = _taking_part(case, systems, servers)
            if taking_part:
                results.append(measure(case, taking_part, rounds=rounds, say=say))
                for system in taking_part:
                    if isinstance(system, Accepting):
                        say(f"{case.name}: {system.name}, {system.told()}")
            servers.check()
        return results, {system.name: system.rss_mb() for system in systems}


def _taking_part(case: Case, systems: Sequence[System], servers: Servers) -> Sequence[System]:
    if not case.is_in_process:
        names = case.systems(system.name for system in systems)
        return [system for system in systems if system.name in names]
    # In this process, where our system has set Django up.
    if not any(system.name == "ours" for system in systems):
        return []
    if case.shape in ("start", "deliver"):
        door = StartDoor() if case.shape == "start" else WebhookDoor()
        return [Accepting("ours", servers, door), Accepting("baseline", servers, BareDoor())]
    if case.shape == "limit":
        return [Limiting(servers.redis_url(LIMITER_DATABASE)), RoundTrips(servers.redis_url(LIMITER_DATABASE))]
    return [Settling("ours", is_paid=True), Settling("baseline", is_paid=False)]


def _system(name: str, servers: Servers) -> System:
    """Make a system; each is imported only when it is asked for, since ours sets Django up."""
    if name == "ours":
        from benchmarks.ours import Ours

        return Ours(servers)
    if name == "baseline":
        from benchmarks.baseline import Baseline

        return Baseline(servers)
    from benchmarks.floor import Floor

    return Floor(servers.database_url)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM, a closed terminal and the time limit end the run as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGALRM:
            raise TimeoutError(f"The whole took more than {ALL_WITHIN_S} s.")
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, stop)
    signal.alarm(ALL_WITHIN_S)
    try:
        yield
    finally:
        signal.alarm(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the cases with bars here")
    parser.add_argument("--only", type=_names(tuple(case.name for case in CASES)), metavar="CASE,...", default=[])
    systems = ("ours", "baseline", "floor")
    parser.add_argument(
        "--systems", type=_names(systems), metavar="SYSTEM,...", default=systems, help="leave others out"
    )
    return parser


def _names(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        given = [name.strip() for name in text.split(",") if name.strip()]
        if unknown := [name for name in given if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is none of {', '.join(known)}")
        return given

    return names


if __name__ == "__main__":
    sys.exit(main())
