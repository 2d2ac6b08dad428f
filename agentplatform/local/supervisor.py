"""Starts processes, watches them, restarts the one that dies, and leaves none behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from agentplatform.local.errors import ServiceFailed

POLL_S = 0.05
QUICK_DEATH_S = 20.0  # a process that lives longer is not in a crash loop
MAX_QUICK_DEATHS = 5
MAX_BACKOFF_S = 5.0
TAIL_LINES = 25
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, kw_only=True)
class Service:
    """One process to keep alive."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    is_ready: Callable[[], bool] = lambda: True
    before: Callable[[], None] = lambda: None  # runs before each start, restarts included
    user: int | None = None
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_after_s: float = 15.0
    orphan_signal: signal.Signals = signal.SIGKILL  # sent by the kernel if the supervisor itself is killed
    ready_after_s: float = 60.0


@dataclass
class Running:
    """A service, its process, and how often it died lately."""

    service: Service
    process: subprocess.Popen[bytes]
    started_at: float
    quick_deaths: int = 0
    restart_at: float | None = None


@dataclass
class Supervisor:
    """Keep services alive in batches; stop them in the reverse order. Use it from the main thread only."""

    logs: Path
    say: Callable[[str], None] = lambda text: say(text)
    batches: list[list[Running]] = field(default_factory=list)
    stop_asked: int = 0
    _handlers: dict[int, Any] = field(default_factory=dict)

    def __enter__(self) -> Supervisor:
        self.logs.mkdir(parents=True, exist_ok=True)
        self.logs.chmod(0o700)
        # SIGTERM and a closed terminal must clean up just as Ctrl-C does.
        self._handlers = {number: signal.signal(number, self._ask_stop) for number in STOPS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)

    def start(self, *services: Service) -> None:
        """Start services side by side and return once all are ready.

        Raises: ServiceFailed if one dies or is not ready in time; Interrupted if a stop is asked meanwhile.
        """
        batch: list[Running] = []
        self.batches.append(batch)
        for service in services:
            self._rotate(service)
            batch.append(Running(service, self._spawn(service), time.monotonic()))
        waiting = list(batch)
        while waiting:
            self.look()
            waiting = [running for running in waiting if not self._is_up(running)]
            time.sleep(POLL_S if waiting else 0)

    def watch(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Restart what dies, until `until` says so or a stop is asked (then raises Interrupted)."""
        while not until():
            self.look()
            time.sleep(POLL_S)

    def look(self) -> None:
        """Look once at every process: restart the dead. Raises: ServiceFailed for one that keeps dying; Interrupted."""
        if self.stop_asked:
            self.say("Stopping: what is running has some seconds to finish. A second Ctrl-C ends it at once.")
            raise Interrupted
        for running in (running for batch in self.batches for running in batch):
            if running.restart_at is not None:
                if time.monotonic() >= running.restart_at:
                    self._restart(running)
            elif (status := running.process.poll()) is not None:
                self._plan_restart(running, status)

    def stop(self) -> None:
        """Stop all, the youngest batch first: ask, wait until the deadline, then kill what is left of each group."""
        self.stop_asked = 0  # from here on, a further Ctrl-C means: now
        while self.batches:
            self._stop_batch(self.batches.pop())

    def tail(self, name: str) -> str:
        """Return the last lines a service has logged."""
        path = self.logs / f"{name}.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        service.before()
        with (self.logs / f"{service.name}.log").open("ab") as log:
            return spawn(service, log.fileno())

    def _rotate(self, service: Service) -> None:
        path = self.logs / f"{service.name}.log"
        if path.exists():
            path.replace(path.with_suffix(".log.1"))

    def _is_up(self, running: Running) -> bool:
        if running.restart_at is None and running.service.is_ready():
            return True
        if time.monotonic() - running.started_at > running.service.ready_after_s:
            name = running.service.name
            raise ServiceFailed(name, f"was not ready within {running.service.ready_after_s:g} s", self.tail(name))
        return False

    def _plan_restart(self, running: Running, status: int) -> None:
        name, lived_s = running.service.name, time.monotonic() - running.started_at
        running.quick_deaths = running.quick_deaths + 1 if lived_s < QUICK_DEATH_S else 1
        kill_group(running.process.pid)
        how = f"died ({_describe(status)})"
        if running.quick_deaths >= MAX_QUICK_DEATHS:
            raise ServiceFailed(name, f"{how} {running.quick_deaths} times in a row", self.tail(name))
        delay_s = min(MAX_BACKOFF_S, 0.2 * 2 ** (running.quick_deaths - 1))
        self.say(f"{name} {how}; starting it again. Its log: {self.logs / name}.log")
        running.restart_at = time.monotonic() + delay_s

    def _restart(self, running: Running) -> None:
        running.process = self._spawn(running.service)
        running.started_at, running.restart_at = time.monotonic(), None

    def _stop_batch(self, batch: list[Running]) -> None:
        for running in batch:
            if running.process.poll() is None:
                running.process.send_signal(running.service.stop_signal)
        for running in batch:
            deadline = time.monotonic() + running.service.stop_after_s
            while running.process.poll() is None and time.monotonic() < deadline and not self.stop_asked:
                time.sleep(POLL_S / 5)
            if running.process.poll() is None:
                self.say(f"{running.service.name} did not stop in time and is killed.")
            kill_group(running.process.pid)
            running.process.wait()

    def _ask_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_asked = number


def say(text: str) -> None:
    """Print at once, or to nobody where the terminal is gone: that must not keep us from stopping the rest."""
    try:
        print(text, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class Interrupted(Exception):
    """A signal asked the supervisor to stop."""


def spawn(service: Service, log: int) -> subprocess.Popen[bytes]:
    """Start a service in its own session, so that Ctrl-C reaches only us, and bound to die with us."""
    parent = os.getpid()

    def die_with_parent() -> None:
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, int(service.orphan_signal))
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

    return subprocess.Popen(
        service.argv,
        env=dict(service.env),
        cwd=service.cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=die_with_parent,
        user=service.user,
        group=service.user,
        extra_groups=None if service.user is None else [],
    )


def kill_group(leader: int) -> None:
    """Kill whatever is left of a process group: the children of a leader that has died."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return  # the usual case: nothing is left
    except PermissionError:
        return  # only zombies of another user are left


def _describe(status: int) -> str:
    return f"exit {status}" if status >= 0 else signal.Signals(-status).name
