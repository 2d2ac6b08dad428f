"""How each kind of fault of a schedule is done to a stack, and undone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.chaosproxy import ChaosProxy, Mode
from tests.faults.losses import Losses, ending
from tests.faults.schedule import WORKERS, Fault
from tests.faults.stack import Member, Route, Stack
from tests.servers import wait_until

#: Where a worker may be told to die; of those that only beat or the web pass, there is nothing to tell.
PLACES = [
    "before_claim",
    "after_claim",
    "before_effect",
    "after_effect",
    "before_settle",
    "inside_settle",
    "before_finish",
    "after_settle",
    "before_send",
    "after_send",
    "before_renew",
]
SLOW_S = 0.15

Undo = Callable[[], None]


@dataclass
class Injector:
    """The workers of a campaign, each behind proxies of its own, and what is to be undone."""

    stack: Stack
    routes: list[Route] = field(default_factory=list)
    workers: list[Member] = field(default_factory=list)
    #: Processes that a fault has killed, to be asked about by whoever measures recovery.
    killed: list[int] = field(default_factory=list)
    database_crashes: int = 0
    #: What was done to whom, and who held what.
    losses: Losses = field(init=False)
    _failpoints: list[str] = field(default_factory=lambda: [""] * WORKERS)

    def __post_init__(self) -> None:
        self.losses = Losses(self.workers)

    def start(self) -> None:
        """Start the workers: two that wait, one that computes."""
        self.routes = [self.stack.route() for _ in range(WORKERS)]
        for number, queue in enumerate(["default"] * (WORKERS - 1) + ["cpu"]):
            worker = self.stack.worker(
                f"worker{number}",
                queue,
                route=self.routes[number],
                failpoint=lambda starts, number=number: self._take_failpoint(number, starts),
                is_kept=True,
            )
            self.workers.append(worker)

    def inject(self, fault: Fault) -> Undo | None:
        """Let a fault strike. Return how it is undone, if it lasts."""
        worker, route = self.workers[fault.worker], self.routes[fault.worker]
        assert route.database is not None
        assert route.broker is not None
        match fault.kind:
            case "kill worker":
                self._kill(worker)
            case "kill both workers":
                for one in self.workers[:-1]:
                    self._kill(one)
            case "kill pool process":
                self._kill_child(fault.number)
            case "kill beat":
                self.stack.members["beat"].kill9()
            case "kill web":
                self.stack.members["web"].kill9()
            case "die at failpoint":
                self._arm(fault)
            case "freeze worker":
                return self._freeze(worker)
            case "terminate worker":
                self._terminate(worker)
            case "restart broker":
                return self._without_broker(self.stack.stop_broker)
            case "lose broker":
                return self._without_broker(self.stack.lose_broker)
            case "flush broker":
                with self.stack.redis() as valkey:
                    valkey.flushall()
            case "crash database":
                return self._crash_database()
            case "reset database":
                route.database.reset()
            case "reset broker":
                route.broker.reset()
            case "lose commit's answer":
                route.database.lose_answer(b"COMMIT", times=1 + fault.number % 3)
            case "cut database":
                route.database.cut_after(fault.number % 20_000)
            case "slow database":
                return self._cut_off(worker, self._misbehave(route.database, Mode.DELAY, delay_s=SLOW_S))
            case "blackhole database":
                return self._cut_off(worker, self._misbehave(route.database, Mode.BLACKHOLE))
            case "half-open database":
                return self._cut_off(worker, self._misbehave(route.database, Mode.HALF_OPEN))
            case "blackhole broker":
                return self._misbehave(route.broker, Mode.BLACKHOLE)
            case "half-open broker":
                return self._misbehave(route.broker, Mode.HALF_OPEN)
            case "refuse broker":
                return self._misbehave(route.broker, Mode.REFUSE)
            case _:
                raise ValueError(f"Nobody knows how to do {fault.kind!r}.")
        return None

    def _kill(self, worker: Member) -> None:
        if worker.is_up:
            killed = [worker.pid, *worker.children]
            self.losses.strike(*killed)
            self.killed += killed
            worker.kill9()

    def _kill_child(self, number: int) -> None:
        cpu = self.workers[-1]
        children = cpu.children if cpu.is_up else []
        if children:
            self.killed.append(children[number % len(children)])
            self.losses.strike(self.killed[-1])
            os.kill(self.killed[-1], signal.SIGKILL)

    def _terminate(self, worker: Member) -> None:
        if worker.is_up:
            self.losses.strike(worker.pid)
            worker.send(signal.SIGTERM)

    def _cut_off(self, worker: Member, heal: Undo) -> Undo:
        """Note that a worker does not reach the database until it is healed; one that is down has nothing to lose."""
        return ending(self.losses.strike(worker.pid), heal) if worker.is_up else heal

    def _arm(self, fault: Fault) -> None:
        """Start a worker anew that dies at some place, and live on without that when it is started again."""
        self._failpoints[fault.worker] = f"{PLACES[fault.number % len(PLACES)]}:kill9:at={3 + fault.number % 20}"
        self._kill(self.workers[fault.worker])

    def _take_failpoint(self, number: int, starts: int) -> str:
        taken, self._failpoints[number] = self._failpoints[number], ""
        if taken:
            self.losses.doomed.append((self.workers[number], starts))
        return taken

    def _freeze(self, worker: Member) -> Undo | None:
        if not worker.is_up:
            return None
        leader = worker.pid
        os.killpg(leader, signal.SIGSTOP)

        def thaw() -> None:
            # Another fault may have killed it meanwhile.
            if worker.is_up and worker.pid == leader:
                os.killpg(leader, signal.SIGCONT)

        return ending(self.losses.strike(leader), thaw)

    def _without_broker(self, end: Callable[[], None]) -> Undo | None:
        if not self.stack.broker.is_up:
            return None
        end()
        return lambda: self.stack.resume(self.stack.broker.name)

    def _crash_database(self) -> Undo | None:
        postgres = self.stack.members["postgres"]
        if not postgres.is_up:
            return None
        self.database_crashes += 1
        strike = self.losses.strike_all()
        postgres.send(signal.SIGQUIT)
        wait_until(lambda: not postgres.is_up, what="The death of PostgreSQL")
        return ending(strike, lambda: self.stack.resume("postgres"))

    def _misbehave(self, proxy: ChaosProxy, mode: Mode, *, delay_s: float = 0.0) -> Undo:
        proxy.set(mode, delay_s=delay_s)
        return proxy.heal
