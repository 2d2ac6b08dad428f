"""F17: a disk that is full stops the work and loses nothing; one that only holds logs stops nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.faults.load import Accepted, Load
from tests.faults.shapes import make_diamond, make_one
from tests.faults.sound import assert_sound
from tests.faults.stack import Stack, running_stack
from tests.scale import long

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of its own in memory."""
    folder = tmp_path_factory.mktemp("disk")
    for parent in [folder, *folder.parents][:4]:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/tmp"):
            parent.chmod(0o711)  # PostgreSQL's own user passes through
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=320m,mode=711", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("A file system can only be mounted by root.")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_of_the_database_loses_nothing(small_disk: Path, tmp_path: Path, django_db_blocker: Any):
    running = running_stack(small_disk / "stack", effects=tmp_path / "effects.jsonl")
    with django_db_blocker.unblock(), running as stack, stack.attached():
        for member in (stack.web(), stack.beat(), stack.worker("one", is_kept=True)):
            member.wait()
        load, shape = Load(stack), make_one()
        load.begin(shape, 3)

        fill(small_disk)
        answers = [load.ask(shape) for _ in range(8)]
        (small_disk / "ballast").unlink()
        connection.close()
        if not stack.members["postgres"].is_up:
            stack.resume("postgres")
        load.begin(shape, 2)

        assert_sound(load, forgotten=1)
        assert {503, 202} >= {202 if isinstance(answer, Accepted) else answer.status for answer in answers}


@long
def test_a_full_disk_of_the_logs_stops_nothing(stack: Stack, load: Load, small_disk: Path):
    stack.logs, logs = small_disk, stack.logs
    try:
        stack.worker("one").wait(), stack.worker("cpu", "cpu").wait()
        fill(small_disk)
        load.begin(make_diamond(), 6)
        assert_sound(load)
    finally:
        stack.dismiss("one", "cpu")
        stack.logs = logs


def fill(disk: Path) -> None:
    """Leave no byte free."""
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(1 << 20))
        except OSError:
            size = ballast.tell()
    assert size
