"""What must always hold of stored executions, proved by SQL on any database, while the system runs.

Each part of an invariant is a file in sql/invariants/, named by its code: its first line says what holds, its query finds what breaks it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection, transaction

from agentplatform.lib.clock import now
from agentplatform.lib.ids import first_id_at
from executions import statements, sweep

FOLDER = Path(__file__).parent / "sql" / "invariants"

#: So many reconcile periods pass at most before an execution that stands in line at the broker is sent again (`stuck.sql`).
LONGEST_IN_LINE = 64
#: A wake-up that came just after one round of reconcile is found by the next one.
ROUNDS = 2
#: Times are of several clocks, and some of the beginning of a transaction that had to wait for another.
SKEW_S = 60.0
#: Of each part that does not hold, so many ids are told.
LIMIT = 20

EXECUTIONS = "SELECT count(*) FROM executions_execution WHERE id >= %(since)s"
ENTRIES = "SELECT count(*) FROM executions_ledgerentry"
DELIVERIES = "SELECT count(*) FROM executions_delivery WHERE id >= %(since)s"
FIRES = "SELECT count(*) FROM executions_fire WHERE id >= %(since)s"
EVENTS = "SELECT count(*) FROM executions_liveevent WHERE execution_id >= %(since)s"
CREDENTIALS = "SELECT count(*) FROM integrations_credential WHERE revoked_at IS NULL"
FIRINGS = "SELECT count(*) FROM executions_nodeexecution WHERE execution_id >= %(since)s"
# One snapshot for all; large joins in memory, month by month.
PREPARE = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "SET LOCAL work_mem = '64MB'",
    "SET LOCAL enable_partitionwise_join = on",
    "SET LOCAL enable_partitionwise_aggregate = on",
)


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise: its code, what it says, and the query that counts what has to be looked at."""

    code: str
    title: str
    looks_at: str


#: Every promise there is.
INVARIANTS = (
    Invariant("I1", "what was accepted is kept", EXECUTIONS),
    Invariant("I2", "what has ended is final", EXECUTIONS),
    Invariant("I3", "one committed output set per firing", FIRINGS),
    Invariant("I4", "nothing begins before what it needs", FIRINGS),
    Invariant("I5", "the ledger adds up", ENTRIES),
    Invariant("I6", "one execution per delivery", DELIVERIES),
    Invariant("I7", "one execution per schedule and time", FIRES),
    Invariant("I8", "nothing is orphaned", EXECUTIONS),
    Invariant("I9", "what was cancelled stays so", EXECUTIONS),
    Invariant("I10", "events have no gaps", EVENTS),
    Invariant("I11", "no secret is stored in the open", CREDENTIALS),
    Invariant("I12", "every firing is of its version", FIRINGS),
    Invariant("I13", "everything is bounded", FIRINGS),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One statement of an invariant, and the query that finds what breaks it."""

    code: str
    name: str
    sentence: str
    query: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A part that does not hold: what should, and the first of those that break it."""

    code: str
    sentence: str
    ids: tuple[str, ...]
    has_more: bool = False
    part: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence} Not so: {' '.join(self.ids)}{' and more' if self.has_more else ''}"


@dataclass(slots=True)
class Finding:
    """What came of checking one invariant."""

    invariant: Invariant
    looked_at: int
    violations: list[Violation] = field(default_factory=list)
    #: By the name of each part.
    seconds: dict[str, float] = field(default_factory=dict)


def check(
    *, grace_s: float | None = None, limit: int = LIMIT, skew_s: float = SKEW_S, only: Collection[str] = ()
) -> list[Violation]:
    """Return what does not hold; see `survey`."""
    findings = survey(grace_s=grace_s, limit=limit, skew_s=skew_s, only=only)
    return [violation for finding in findings for violation in finding.violations]


def survey(
    *,
    grace_s: float | None = None,
    limit: int = LIMIT,
    skew_s: float = SKEW_S,
    only: Collection[str] = (),
    within: timedelta | None = None,
) -> Iterator[Finding]:
    """Check one invariant after the other, all in one read-only snapshot, or in the caller's transaction if there is one.

    What is under way is given a grace: by default what a lease, two rounds of reconcile and a place in line may take. `within` looks
    only at what was accepted so long ago at most.
    """
    values = _values(default_grace_s() if grace_s is None else grace_s, skew_s, within)
    with _snapshot() as run:
        for invariant in INVARIANTS:
            if not only or invariant.code in only:
                finding = Finding(invariant, looked_at=run(invariant.looks_at, values).fetchone()[0])  # type: ignore[index]
                for part in parts_of(invariant.code):
                    begun = time.perf_counter()
                    found = run(_first_of(part.query), values | {"limit": limit + 1}).fetchall()
                    finding.seconds[part.name] = time.perf_counter() - begun
                    if found:
                        ids = tuple(str(row[0]) for row in found[:limit])
                        finding.violations.append(
                            Violation(part.code, part.sentence, ids, len(found) > limit, part.name)
                        )
                if invariant.code == "I11":
                    _sweep(finding, run, values, limit)
                yield finding


def _sweep(finding: Finding, run: sweep.Run, values: dict[str, Any], limit: int) -> None:
    """Look for secrets where the database can not: it has them encrypted only."""
    begun = time.perf_counter()
    found = list(islice(sweep.found_in_the_open(run, values), limit + 1))
    finding.seconds["i11_secret_in_the_open"] = time.perf_counter() - begun
    if found:
        ids = tuple(found[:limit])
        finding.violations.append(Violation("I11", sweep.SENTENCE, ids, len(found) > limit, "i11_secret_in_the_open"))


def default_grace_s() -> float:
    """Return how long what is under way may look as if nobody cared."""
    return float(settings.AGENTPLATFORM_LEASE_S + (LONGEST_IN_LINE + ROUNDS) * settings.AGENTPLATFORM_RECONCILE_S)


def parts_of(code: str) -> tuple[Part, ...]:
    """Return the parts of an invariant."""
    return tuple(part for part in all_parts() if part.code == code)


@cache
def all_parts() -> tuple[Part, ...]:
    """Return every part, by name."""
    return tuple(_read(path) for path in sorted(FOLDER.glob("*.sql")))


def _read(path: Path) -> Part:
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    query = "\n".join(line for line in rest if not line.lstrip().startswith("--"))
    return Part(path.stem.partition("_")[0].upper(), path.stem, first.removeprefix("-- "), query)


def _first_of(query: str) -> str:
    # Materialized, so that the limit does not talk the planner into looking rows up one by one: usually there are none to find.
    return f"WITH found AS MATERIALIZED (\n{query}\n) SELECT * FROM found LIMIT %(limit)s"  # noqa: S608 - our own files


def _values(grace_s: float, skew_s: float, within: timedelta | None) -> dict[str, Any]:
    return {
        "grace": timedelta(seconds=grace_s),
        "skew": timedelta(seconds=skew_s),
        "since": first_id_at(now() - within) if within else UUID(int=0),
        "duration": timedelta(seconds=settings.AGENTPLATFORM_MAX_DURATION_S),
        "per_owner": settings.AGENTPLATFORM_MAX_RUNNING_PER_OWNER,
        "in_flight": settings.AGENTPLATFORM_MAX_IN_FLIGHT,
        "max_depth": settings.AGENTPLATFORM_MAX_DEPTH,
        "max_children": settings.AGENTPLATFORM_MAX_CHILD_EXECUTIONS,
        "max_firings": settings.AGENTPLATFORM_MAX_FIRINGS,
        "max_items": settings.AGENTPLATFORM_MAX_ITEMS,
        "max_output_bytes": settings.AGENTPLATFORM_MAX_OUTPUT_BYTES,
        "max_firing_bytes": settings.AGENTPLATFORM_MAX_FIRING_BYTES,
    }


@contextmanager
def _snapshot() -> Iterator[Callable[[str, dict[str, Any]], psycopg.Cursor[tuple[Any, ...]]]]:
    if connection.in_atomic_block:
        with statements.cursor() as cursor:
            yield cursor.execute
        return
    with transaction.atomic(), statements.cursor() as cursor:
        for statement in PREPARE:
            cursor.execute(statement)
        yield cursor.execute
