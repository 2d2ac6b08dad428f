"""A schedule of faults is a plain function of its seed."""

from __future__ import annotations

from pathlib import Path

from tests.faults.schedule import GAP_S, KINDS, make_schedule


def test_the_same_seed_gives_the_same_schedule():
    first, second = (make_schedule(7, duration_s=600) for _ in range(2))

    assert first == second
    assert first != make_schedule(8, duration_s=600)


def test_faults_strike_over_the_whole_time_and_of_every_kind():
    faults = make_schedule(7, duration_s=3_600)

    assert {fault.kind for fault in faults} == set(KINDS)
    assert faults == sorted(faults, key=lambda fault: fault.at_s)
    assert 3_600 - faults[-1].at_s < GAP_S[1]


def test_what_a_broker_can_not_do_is_left_out():
    faults = make_schedule(7, duration_s=3_600, without=["flush broker"])

    assert "flush broker" not in {fault.kind for fault in faults}


def test_somebody_knows_how_to_do_each_kind():
    source = (Path(__file__).parent / "injections.py").read_text()

    assert [kind for kind in KINDS if f'case "{kind}"' not in source] == []
