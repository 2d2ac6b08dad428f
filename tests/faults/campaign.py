"""A long run: steady work of many shapes while a schedule of faults strikes, then peace, then the count."""

from __future__ import annotations

import http.client
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from django.contrib.auth.models import AbstractUser
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Count

from executions.engine.status import FINAL, Status
from executions.models import Execution, NodeExecution
from tests.factories import make_user
from tests.faults import shapes
from tests.faults.around import Around
from tests.faults.blocks import CallAgain
from tests.faults.injections import Injector, Undo
from tests.faults.load import Load
from tests.faults.recovery import Recoveries
from tests.faults.schedule import Fault
from tests.faults.shapes import Shape
from tests.faults.sound import problems
from tests.faults.stack import Stack
from tests.receiver import Receiver, receiving

#: How many executions are begun in a second, as long as not too many are under way.
RATE, MOST_AT_ONCE = 4.0, 60
TICK_S = 0.05
REST_WITHIN_S = 180.0

Say = Callable[[str], None]


@dataclass
class Report:
    """What a run came to."""

    injected: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    unanswered: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    firings: int = 0
    repeated: int = 0
    effects: int = 0
    effects_repeated: int = 0
    recoveries: Recoveries = field(default_factory=Recoveries)
    around: str = ""
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return it in words."""
        return [
            *(f"  {count:5}  {kind}" for kind, count in self.injected.most_common()),
            f"faults: {self.injected.total()}",
            f"executions: {self.ends.total()} ({', '.join(f'{count} {end}' for end, count in self.ends.most_common())}),"
            f" refused {self.refused}, without an answer {self.unanswered}",
            f"firings: {self.firings}, of which {self.repeated} more than once;"
            f" effects: {self.effects}, of which {self.effects_repeated} repeated",
            self.around,
            f"recoveries: {self.recoveries}",
            f"violations: {len(self.wrong)}",
            *(f"  {wrong}" for wrong in self.wrong[:50]),
        ]


@dataclass
class Campaign:
    """One run under way."""

    stack: Stack
    faults: list[Fault]
    duration_s: float
    seed: int
    say: Say = print
    report: Report = field(default_factory=Report)
    _undo: list[tuple[float, Undo]] = field(default_factory=list)

    def carry_out(self) -> Report:
        """Work and strike until the time is over; then heal everything, wait, and look."""
        with receiving(body=b"") as receiver:
            return self._carry_out(receiver)

    def _carry_out(self, receiver: Receiver) -> Report:
        load, chance = Load(self.stack), Random(self.seed)
        owners = make_user(), make_user()
        kinds = make_shapes(*owners)
        around = make_around(load, receiver, owners[1], self.seed)
        around.begin()
        injector = Injector(self.stack)
        injector.start()
        with injector.losses.watching():
            self._work(load, chance, kinds, around, injector)
        self._count(load, injector)
        self.report.around = around.counts()
        self.report.wrong += around.problems()
        return self.report

    def _work(self, load: Load, chance: Random, kinds: list[Shape], around: Around, injector: Injector) -> None:
        """Work and strike until the time is over, then heal everything, and wait."""
        for worker in injector.workers:
            worker.wait()
        began = time.monotonic()
        faults, due = list(self.faults), 0.0
        while (elapsed := time.monotonic() - began) < self.duration_s:
            self._undo_what_is_over(elapsed)
            while faults and faults[0].at_s <= elapsed:
                self._strike(injector, faults.pop(0))
            self.stack.look()
            self.report.recoveries.look()
            around.look()
            if elapsed >= due and self._has_room():
                self._begin(load, chance.choice(kinds))
                due = max(due + 1 / RATE, elapsed - 1.0)
            time.sleep(TICK_S)
        self._heal(injector)
        self._rest(load, around)

    def _strike(self, injector: Injector, fault: Fault) -> None:
        self.say(str(fault))
        self.report.injected[fault.kind] += 1
        undo = injector.inject(fault)
        if undo is not None:
            self._undo.append((fault.at_s + fault.lasts_s, undo))
        while injector.killed:
            self.report.recoveries.lost(injector.killed.pop())

    def _undo_what_is_over(self, elapsed: float) -> None:
        over = [undo for until_s, undo in self._undo if until_s <= elapsed]
        self._undo = [one for one in self._undo if one[0] > elapsed]
        for undo in over:
            undo()

    def _has_room(self) -> bool:
        under_way = Execution.objects.exclude(status__in=[*FINAL, Status.WAITING])
        try:
            return under_way.count() < MOST_AT_ONCE
        except (OperationalError, InterfaceError):
            connection.close()
            return True  # what the web says while the database is away is of interest too

    def _begin(self, load: Load, shape: Shape) -> None:
        try:
            load.ask(shape, timeout_s=5.0)
        except (OSError, http.client.HTTPException):
            self.report.unanswered += 1

    def _heal(self, injector: Injector) -> None:
        self.say("healing everything")
        self._undo_what_is_over(float("inf"))
        for route in injector.routes:
            for proxy in filter(None, (route.database, route.broker)):
                proxy.heal()

    def _rest(self, load: Load, around: Around) -> None:
        """Wait until nothing moves: also what was begun without anybody being told."""
        began = time.monotonic()
        around.rest(within_s=REST_WITHIN_S)
        every = list(Execution.objects.values_list("id", flat=True))
        try:
            load.wait(within_s=REST_WITHIN_S, ids=every)
        except AssertionError as error:
            self.report.wrong.append(str(error))
        self.report.recoveries.look()
        self.say(f"at rest after {time.monotonic() - began:.1f} s")

    def _count(self, load: Load, injector: Injector) -> None:
        report = self.report
        report.wrong += problems(load, forgotten=injector.database_crashes, losses=injector.losses)
        ends = Execution.objects.values_list("status", "error_code").annotate(count=Count("id"))
        report.ends = Counter({f"{status} {code}".strip(): count for status, code, count in ends})
        report.refused = len(load.refused)
        firings = NodeExecution.objects.all()
        report.firings, report.repeated = firings.count(), firings.filter(attempt__gt=1).count()
        counts = load.stack.sink.counts()
        report.effects = counts.total()
        report.effects_repeated = sum(times > 1 for times in counts.values())
        left = Execution.objects.exclude(status__in=[*FINAL, Status.WAITING])
        report.wrong += [f"{one} is still {status}" for one, status in left.values_list("id", "status")]


def make_around(load: Load, receiver: Receiver, owner: AbstractUser, seed: int) -> Around:
    """Return what goes on beside the work, for one of the owners."""
    scheduled = [shapes.make_diamond(owner, name="scheduled"), shapes.make_one(owner=owner, name="scheduled too")]
    return Around(load, receiver, owner, scheduled, shapes.make_one(owner=owner, name="hooked"), seed)


def make_shapes(one: AbstractUser, two: AbstractUser) -> list[Shape]:
    """Return the graphs of the work, of two owners."""
    return [
        shapes.make_diamond(one, seconds=0.1),
        shapes.make_diamond(two),
        shapes.make_wide(10, one, seconds=0.05),
        shapes.make_items(6, two),
        shapes.make_chain(8, one),
        shapes.make_one(owner=two, seconds=0.5, name="slow"),
        shapes.make_one(CallAgain, one, name="again", also=shapes.FAILED, fails=True),
        shapes.make_once(two, seconds=0.05),
        shapes.make_failing(one),
        shapes.make_failing(two),
        shapes.make_asking(two),
    ]
