"""How much the long tests do: enough to notice a fault on every push, and more of the same where there is time."""

from __future__ import annotations

import os

import pytest

#: AGENTPLATFORM_TEST_SCALE=5 bin/test does five times as much.
SCALE = float(os.environ.get("AGENTPLATFORM_TEST_SCALE", "1"))


def many(count: int) -> int:
    """Return how often a test does something that it does `count` times on every push."""
    return max(1, round(count * SCALE))


#: Of what takes most of a minute and is shown in a shorter way too: run where there is time.
LONG = "takes long: AGENTPLATFORM_TEST_SCALE=2 runs it"
long = pytest.mark.skipif(SCALE < 2, reason=LONG)
