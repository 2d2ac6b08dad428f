"""The lock files say what pyproject.toml says."""

from __future__ import annotations

import re

import pytest

from agentplatform.local.locks import LOCKS, pinned, stale_locks
from agentplatform.local.paths import ROOT


@pytest.mark.slow  # asks the package index
def test_locks_are_in_step_with_pyproject():
    assert stale_locks() == [], "Run bin/lock and commit the result"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_has_an_exact_version_and_a_hash(lock):
    text = (ROOT / lock.name).read_text()

    for entry in re.split(r"\n(?=\S)", text.strip())[1:]:
        assert re.match(r"[\w.\-\[\],]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_names_no_machine(lock):
    text = (ROOT / lock.name).read_text()

    assert not re.search(r"https?://|file:|--index|--find-links|^#.* /", text, flags=re.MULTILINE)


def test_tests_run_on_the_versions_that_run():
    runs, tested = (pinned(ROOT / name) for name in ("requirements.txt", "requirements-dev.txt"))

    assert {name: tested.get(name) for name in runs} == runs
