"""F14: workers whose clocks are wrong by ten minutes, or go back, change nothing: the database's clock decides."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db.models import F

from executions.models import Execution, NodeExecution
from tests.faults.load import Load
from tests.faults.shapes import make_diamond, make_one
from tests.faults.sound import assert_sound
from tests.faults.stack import Stack
from tests.scale import long

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)

#: So far apart are the clocks.
SKEW_S = 1_300.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(LIBRARY is None, reason="Debian's package libfaketime is not installed"),
]


def test_workers_whose_clocks_disagree_share_the_work(stack: Stack, load: Load):
    early = stack.worker("early", **clock("-10m"))
    late = stack.worker("late", **clock("+10m"))
    stack.worker("cpu", "cpu")
    early.wait(), late.wait()

    load.begin(make_diamond(seconds=0.1), 16)

    assert_sound(load, skew_s=SKEW_S)
    rows = NodeExecution.objects.filter(execution_id__in=load.ids)
    assert not rows.filter(attempt__gt=1).exists()
    assert not rows.filter(ended_at__lt=F("started_at")).exists()
    assert not Execution.objects.filter(pk__in=load.ids, ended_at__lt=F("started_at")).exists()
    workers = {worker.rpartition(":")[2] for worker in rows.values_list("worker", flat=True)}
    assert {str(early.pid), str(late.pid)} <= workers


@long
@pytest.mark.parametrize("by", ["-10m", "+10m"])
def test_a_dead_workers_work_is_taken_over_in_time_by_one_with_a_wrong_clock(stack: Stack, load: Load, by: str):
    doomed = stack.worker("doomed")
    doomed.wait()

    with stack.sink.holding():
        load.begin(make_one(), 2)
        stack.sink.wait_for(2, ids=load.ids)
        stack.worker("heir", **clock(by)).wait()
        doomed.kill9()
        stack.sink.wait_for(4, ids=load.ids, within_s=10)

    assert_sound(load, skew_s=SKEW_S)


def test_a_clock_that_is_set_back_makes_no_time_negative(stack: Stack, load: Load):
    setting = stack.folder / "clock"
    setting.write_text("+0")
    stack.worker("one", **clock(), FAKETIME_TIMESTAMP_FILE=str(setting), FAKETIME_NO_CACHE="1").wait()

    with stack.sink.holding():
        load.begin(make_one(), 3)
        stack.sink.wait_for(3, ids=load.ids)
        setting.write_text("-10m")
    load.begin(make_one(), 3)

    assert_sound(load, skew_s=SKEW_S)
    rows = NodeExecution.objects.filter(execution_id__in=load.ids)
    assert not rows.filter(ended_at__lt=F("started_at")).exists()
    assert not rows.filter(attempt__gt=1).exists()


@pytest.mark.parametrize("by", [pytest.param("-10m", marks=long), "+10m"])
def test_what_a_web_with_a_wrong_clock_accepted_is_found_when_its_message_is_lost(stack: Stack, load: Load, by: str):
    stack.members["web"].kill9()
    web = stack.web(**clock(by), BROKER_URL=stack.database_of_valkey(9))
    web.wait()
    stack.worker("one")

    load.begin(make_one(), 2)

    try:
        assert_sound(load, skew_s=SKEW_S, within_s=15)
    finally:
        stack.web().wait()


def clock(setting: str = "") -> dict[str, str]:
    """Return what makes a process live in another time; what only measures time is left as it is."""
    faked = {"FAKETIME": setting} if setting else {}
    return {"LD_PRELOAD": str(LIBRARY), "FAKETIME_DONT_FAKE_MONOTONIC": "1", **faked}
