"""A door that is open to this machine, and a node whose provider is on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from blocks.sdk.testing import KnownCredentials, MemoryContext
from integrations.providers import ProviderName
from tests.outside import allow_only


@pytest.fixture
def context_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], MemoryContext]:
    """Return a context whose provider is at an address of this machine."""
    allow_only(monkeypatch, "127.0.0.1")
    return lambda url: MemoryContext(credentials={ProviderName.OPENAI: KnownCredentials("sk-canary", url)})
