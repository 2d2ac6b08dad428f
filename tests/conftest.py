"""What every test may ask for: servers that start on first need, an API client, real workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import TransactionTestCase

from tests.environment import SERVERS


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers in the process that controls the others, before they look for them."""
    if getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput"):
        SERVERS.start()


def pytest_unconfigure() -> None:
    """Stop them when the last test is done."""
    SERVERS.stop()


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
