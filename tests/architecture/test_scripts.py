"""Each verb in bin/ is short and explains itself."""

from __future__ import annotations

import os
import subprocess

import pytest

from agentplatform.local.paths import ROOT

VERBS = sorted(path.name for path in (ROOT / "bin").iterdir() if not path.name.startswith("_"))


@pytest.mark.parametrize("verb", ["up", "demo", "test", "lint", "lock"])
def test_explains_itself(verb):
    done = subprocess.run([ROOT / "bin" / verb, "--help"], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0
    assert f"usage: bin/{verb}" in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_is_short_and_executable(verb):
    path = ROOT / "bin" / verb

    assert len(path.read_text().splitlines()) < 40
    assert os.access(path, os.X_OK)
