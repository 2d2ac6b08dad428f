"""Closes what a test's event loop has open."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agentplatform.lib import http


@pytest.fixture(autouse=True)
async def close_connections() -> AsyncIterator[None]:
    """Close the connections of the test's event loop."""
    yield
    await http.close()
