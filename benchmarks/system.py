"""What the harness asks of every system it measures."""

from __future__ import annotations

from typing import Protocol

from benchmarks.cases import Case

RUN_WITHIN_S = 60.0


class WrongResult(RuntimeError):
    """A system finished with something else than the case asks for."""


class System(Protocol):
    """One way of executing the cases."""

    name: str

    def prepare(self, case: Case) -> None:
        """Do what is needed once before the first run of a case; not timed."""
        ...

    def run_once(self, case: Case) -> None:
        """Execute the case from start to result; this is what is timed."""
        ...

    def verify(self, case: Case) -> None:
        """Check the result of the last run; not timed.

        Raises:
            WrongResult: it is not what the case asks for.
        """
        ...

    def rss_mb(self) -> float:
        """Return the memory of the processes that must run besides the servers."""
        ...

    def close(self) -> None:
        """End all that was started."""
        ...
