"""What tests of the engine may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.durable import wiring


@pytest.fixture(scope="module")
def in_memory() -> Iterator[None]:
    """Let lanes find the database and the broker of a history in memory."""
    with wiring.in_memory():
        yield
