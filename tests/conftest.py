"""What every test may ask for: servers that start on first need, an API client, real workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.test import TransactionTestCase

from tests import canaries
from tests.environment import SERVERS
from tests.scale import LONG

#: Where secrets of tests were found in the open.
LEAKS: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers in the process that controls the others, before they look for them."""
    if getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput"):
        SERVERS.start()


def pytest_unconfigure() -> None:
    """Stop them when the last test is done."""
    SERVERS.stop()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look for secrets in all that the servers, workers and webs of this process have written; any is a failure of the run (I11)."""
    if not SERVERS.folder.exists():
        return
    found = list(canaries.files_with_one(SERVERS.folder))
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["canaries"] = found
    else:
        LEAKS.extend(found)
    if LEAKS:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear what a process of pytest-xdist has found."""
    LEAKS.extend(getattr(node, "workeroutput", {}).get("canaries", ()))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say where secrets were found."""
    for leak in LEAKS:
        terminalreporter.write_line(f"A secret is in the open (I11): {leak}", red=True)
    for reason, tests in left_out(terminalreporter.stats.get("skipped", ())).items():
        terminalreporter.write_line(f"NOT RUN HERE ({len(tests)}): {', '.join(sorted(tests))}: {reason}", yellow=True)


def left_out(reports: Iterable[pytest.TestReport]) -> dict[str, set[str]]:
    """Return the tests that this machine has no means for, by what they miss; not those that are left out to be quick."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for report in reports:
        *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else (report.longrepr,)
        if LONG not in str(reason):
            found[str(reason).removeprefix("Skipped: ")].add(report.nodeid)
    return found


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Start the servers before the test database is made. pytest-django calls this first."""
    SERVERS.start()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let tests that commit empty the database at their end in our way."""
    from tests.emptying import Emptying

    with django_db_blocker.unblock():
        empty = Emptying()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: empty())
        yield


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The address of the tests' own Valkey, running."""
    from django.conf import settings

    SERVERS.start()
    return settings.REDIS_URL
