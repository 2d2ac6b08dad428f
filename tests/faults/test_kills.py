"""F1-F3: whoever is killed, wherever it is, every execution ends and every firing is settled once."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections.abc import Callable

import pytest

from executions import pruning, services
from executions.engine.status import Status
from executions.models import Execution, NodeExecution
from files.models import File, FileChunk
from tests.faults.load import Load
from tests.faults.shapes import make_chain, make_diamond, make_once, make_one, make_wide, make_writing
from tests.faults.sound import assert_sound
from tests.faults.stack import Stack
from tests.scale import SCALE
from tests.servers import wait_until

pytestmark = pytest.mark.slow

#: Of a worker, in the order in which it dies there.
PLACES = [
    "before_claim",
    "after_claim",
    "before_effect",
    "after_effect",
    "before_settle",
    "inside_settle",
    "before_finish",
    "after_settle",
    "before_send",
    "after_send",
    "before_renew",
]


def test_nothing_is_lost_or_doubled_wherever_a_worker_dies(stack: Stack, load: Load):
    shape = make_diamond(seconds=0.1)
    stack.worker("heir"), stack.worker("cpu", "cpu")

    for place in PLACES if SCALE >= 2 else PLACES[1::2]:
        dying = stack.worker("dying", failpoint=f"{place}:kill9:at=2")
        dying.wait()
        until = time.monotonic() + 30
        while dying.is_up:
            assert time.monotonic() < until, f"No worker ever came to {place}."
            load.begin(shape, 2)
        load.wait()

    assert_sound(load)


def test_a_pool_process_that_dies_at_every_third_effect_loses_nothing(stack: Stack, load: Load):
    stack.worker("one")
    stack.worker("cpu", "cpu", failpoint="after_effect:kill9:at=3")
    shape = make_diamond()

    load.begin(shape, 8)

    assert_sound(load)
    assert NodeExecution.objects.filter(execution_id__in=load.ids, node_key="right", attempt__gt=1).exists()


def test_a_join_of_twenty_fires_once_whenever_its_worker_is_killed(stack: Stack, load: Load):
    shape = make_wide(20)
    doomed = stack.worker("doomed", is_kept=True)
    doomed.wait()

    for effects in (3, 12, 20):
        with stack.sink.holding():
            (execution_id,) = load.begin(shape)
            stack.sink.wait_for(effects, ids=[execution_id])
            doomed.kill9()
        load.wait()

    assert_sound(load)
    joins = NodeExecution.objects.filter(execution_id__in=load.ids, node_key="join")
    assert list(joins.values_list("status", "attempt")) == [("SUCCEEDED", 1)] * 3
    assert max(stack.sink.counts(load.ids).values()) == 2


def test_recovery_does_not_take_the_brokers_patience(stack: Stack, load: Load, record_property: Callable[..., None]):
    """It takes a lease and a look, which `bin/faults --recovery` measures; the broker would deliver again after an hour."""
    doomed, heir = stack.worker("doomed", concurrency=1), None
    doomed.wait()

    with stack.sink.holding():
        (execution_id,) = load.begin(make_one())
        stack.sink.wait_for(1, ids=[execution_id])
        heir = stack.worker("heir")
        heir.wait()
        doomed.kill9()
        killed_at = time.monotonic()
        stack.sink.wait_for(2, ids=[execution_id], within_s=60.0)
        record_property("recovered_s", time.monotonic() - killed_at)

    assert_sound(load)


def test_what_was_fetched_and_not_begun_is_not_lost(stack: Stack, load: Load):
    doomed = stack.worker("doomed", concurrency=1)
    doomed.wait()

    with stack.sink.holding():
        load.begin(make_one(), 4)
        stack.sink.wait_for(1, ids=load.ids)
        doomed.kill9()
    stack.worker("heir")

    assert_sound(load)


@pytest.mark.parametrize("place", ["before_send", "after_send"])
def test_what_was_accepted_is_kept_when_the_web_dies_before_it_is_sent(stack: Stack, load: Load, place: str):
    stack.worker("one")
    stack.members["web"].kill9()
    web = stack.web(failpoint=lambda starts: "" if starts else f"{place}:kill9:at=3")
    web.wait()
    shape = make_chain()

    while not web.deaths:
        try:
            load.ask(shape)
        except (OSError, http.client.HTTPException):
            wait_until(stack.look, within_s=10, what="The death of the web")
    web.wait()

    assert_sound(load)
    assert len(load.accepted) >= 2
    assert not Execution.objects.exclude(status__in=[Status.SUCCEEDED]).filter(pk__in=load.ids).exists()


def test_what_may_happen_once_happens_once(stack: Stack, load: Load):
    doomed = stack.worker("doomed")
    doomed.wait()

    with stack.sink.holding():
        load.begin(make_once(), 3)
        stack.sink.wait_for(3, ids=load.ids)
        doomed.kill9()
    stack.worker("heir")

    assert_sound(load)
    assert set(stack.sink.counts(load.ids).values()) == {1}
    endings = set(Execution.objects.filter(pk__in=load.ids).values_list("status", flat=True))
    assert endings == {Status.WAITING}


def test_a_file_is_there_once_and_only_if_its_firing_says_so(stack: Stack, load: Load):
    """Whoever writes it dies before that is settled: it is written anew under the same id, or removed where nobody goes on."""
    shape = make_writing()

    def written() -> File:
        doomed = stack.worker(f"doomed{len(load.ids)}", failpoint="after_file:kill9:at=1")
        doomed.wait()
        (execution_id,) = load.begin(shape)
        wait_until(lambda: not doomed.is_up, within_s=60, what="The death of whoever has written")
        return File.objects.get(execution_id=execution_id)

    cancelled = written()
    services.cancel(Execution.objects.get(pk=cancelled.execution_id))
    load.wait()
    again = written()
    stack.worker("heir")

    assert_sound(load)
    pruning.prune_files()

    (kept,) = File.objects.filter(execution_id__in=load.ids)
    assert (kept.pk, kept.is_kept, again.is_kept, cancelled.is_kept) == (again.pk, True, False, False)
    row = NodeExecution.objects.get(execution_id=again.execution_id, node_key="write")
    assert (row.attempt, row.outputs["file"][0]["file_id"]) == (2, str(kept.pk))
    assert not FileChunk.objects.filter(file_id=cancelled.pk).exists()


def test_killing_beat_only_delays(stack: Stack, load: Load):
    doomed = stack.worker("doomed", is_kept=True)
    doomed.wait()

    with stack.sink.holding():
        load.begin(make_one(), 2)
        stack.sink.wait_for(2, ids=load.ids)
        doomed.kill9()
        os.kill(stack.members["beat"].pid, signal.SIGKILL)

    assert_sound(load)
    assert stack.members["beat"].deaths
