"""F18: workers are replaced one by one while work goes on, and nothing fails, repeats or is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentplatform.local.paths import ROOT
from executions import messages
from executions.models import NodeExecution
from tests.faults.load import Load
from tests.faults.shapes import make_diamond, make_items, make_one
from tests.faults.sound import assert_sound
from tests.faults.stack import Stack
from tests.scale import long
from tests.servers import wait_until

pytestmark = pytest.mark.slow

GIT = ["git", "-C", str(ROOT)]


@pytest.fixture
def before() -> Iterator[Path]:
    """Another checkout: workers of both releases serve the same database while a deployment is under way.

    If AGENTPLATFORM_RELEASE_BEFORE names none, it is what git has from before the newest migration.
    """
    if named := os.environ.get("AGENTPLATFORM_RELEASE_BEFORE"):
        yield Path(named)
        return
    with tempfile.TemporaryDirectory() as folder:
        unpack_what_was_before_the_newest_migration(Path(folder))
        yield Path(folder)


def unpack_what_was_before_the_newest_migration(folder: Path) -> None:
    newest = [*GIT, "log", "-1", "--format=%H", "--diff-filter=A", "--", "*/migrations/0*.py"]
    found = subprocess.run(newest, capture_output=True, text=True)
    archive = [*GIT, "archive", f"{found.stdout.strip()}~1"]
    packed = subprocess.run(archive, capture_output=True) if found.stdout.strip() else found
    if packed.returncode != 0 or not found.stdout.strip():
        pytest.skip(
            "git does not have the release before: fetch its history, or name a folder in AGENTPLATFORM_RELEASE_BEFORE"
        )
    subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)


def test_the_release_before_works_beside_this_one_on_the_new_schema(stack: Stack, load: Load, before: Path):
    crew = [
        stack.worker("before", code=before),
        stack.worker("before-cpu", "cpu", code=before),
        stack.worker("this"),
        stack.worker("this-cpu", "cpu"),
    ]
    for worker in crew:
        worker.wait()
    pids = {str(crew[0].pid), str(crew[2].pid)}
    diamond, items = make_diamond(seconds=0.1), make_items()

    load.begin(diamond, 20)
    load.begin(items, 4)
    stack.sink.wait_for(10, ids=load.ids)
    crew[2].kill9(), crew[3].kill9()
    load.begin(diamond, 10)
    stack.worker("this"), stack.worker("this-cpu", "cpu")
    load.begin(diamond, 10)
    stack.sink.wait_for(40, ids=load.ids)
    crew[0].kill9(), crew[1].kill9()
    load.begin(items, 4)

    assert_sound(load)
    firings = NodeExecution.objects.filter(execution_id__in=load.ids)
    by = {name.partition(":")[2] for name in firings.values_list("worker", flat=True)}
    assert by >= pids


@long
def test_nothing_is_interrupted_when_workers_are_replaced_one_by_one(stack: Stack, load: Load):
    crew = [("one", "default"), ("two", "default"), ("cpu", "cpu")]
    for name, queue in crew:
        stack.worker(name, queue).wait()
    shape, items = make_diamond(seconds=0.2), make_items()

    for name, queue in crew:
        load.begin(shape, 3)
        load.begin(items, 2)
        stack.members[name].send(signal.SIGTERM)
        load.begin(shape, 3)
        wait_until(lambda name=name: not stack.members[name].is_up, within_s=15, what=f"The stop of {name}")
        stack.worker(name, queue)

    assert_sound(load)
    assert set(stack.sink.counts(load.ids).values()) == {1}
    assert not NodeExecution.objects.filter(execution_id__in=load.ids, attempt__gt=1).exists()


def test_what_outlasts_the_patience_of_a_deployment_is_taken_over(stack: Stack, load: Load):
    old = stack.worker("old", AGENTPLATFORM_SOFT_SHUTDOWN_S="0.5")
    old.wait()

    with stack.sink.holding():
        load.begin(make_one(), 2)
        stack.sink.wait_for(2, ids=load.ids)
        old.send(signal.SIGTERM)
        stack.worker("new").wait()
        old.kill9()
        stack.sink.wait_for(4, ids=load.ids, within_s=15)

    assert_sound(load)


def test_a_message_of_a_later_release_is_left_alone_and_its_work_done(stack: Stack, load: Load):
    stack.worker("one")
    (execution_id,) = load.begin(make_one())
    load.wait()
    later = {"version": messages.VERSION + 1, "queue": "default", "work": [[str(execution_id), "unknown", "form"]]}

    with stack.redis() as valkey:
        valkey.lpush("default", message(later))
    load.begin(make_one(), 2)

    assert_sound(load)


def message(kwargs: object) -> str:
    """Return a message as Celery writes it."""
    return json.dumps(
        {
            "body": b64encode(json.dumps([[], kwargs, {}]).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"id": "later", "task": messages.TASK, "lang": "py", "argsrepr": "", "kwargsrepr": ""},
            "properties": {
                "delivery_tag": "later",
                "delivery_info": {"exchange": "", "routing_key": "default"},
                "body_encoding": "base64",
                "delivery_mode": 2,
                "priority": 0,
                "correlation_id": "later",
            },
        }
    )
