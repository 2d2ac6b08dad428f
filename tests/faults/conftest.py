"""One stack for all fault tests of a process; what a test starts on it, it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.environment import SERVERS
from tests.faults.load import Load
from tests.faults.stack import Stack, running_stack


@pytest.fixture(scope="session")
def servers(django_db_blocker: Any) -> Iterator[Stack]:
    """Own servers, web and beat. Django in this process uses them only while `stack` is asked for."""
    SERVERS.folder.mkdir(parents=True, exist_ok=True)
    with django_db_blocker.unblock(), running_stack(SERVERS.folder / "faults") as stack:
        web, beat = stack.web(), stack.beat()
        web.wait()
        beat.wait()
        yield stack


@pytest.fixture
def stack(servers: Stack, django_db_blocker: Any) -> Iterator[Stack]:
    """The stack with web and beat running, and nothing else that an earlier test may have left."""
    with django_db_blocker.unblock(), servers.attached():
        standing = set(servers.members)
        yield servers
        servers.dismiss(*set(servers.members) - standing)
        for name in standing:
            if not servers.members[name].is_up:
                servers.resume(name)
        # So that what is found wrong is always of the test that finds it.
        servers.forget_executions()


@pytest.fixture
def load(stack: Stack) -> Load:
    """What this test asks of the stack."""
    return Load(stack)
