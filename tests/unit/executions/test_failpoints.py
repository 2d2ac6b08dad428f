"""Where a test may break the engine, and that nobody else can."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

from agentplatform import checks
from agentplatform.env import WrongSetting
from agentplatform.local.paths import ROOT
from executions import failpoints
from executions.failpoints import Failed, parse

PLACED = re.compile(r"""\breach\(\s*"(\w+)"\s*\)""")


def test_every_name_has_its_place():
    sources = [path.read_text() for path in (ROOT / "executions").rglob("*.py")]

    placed = {name for text in sources for name in PLACED.findall(text)}

    assert placed == failpoints.NAMES


def test_nothing_is_armed_by_itself():
    assert not failpoints.is_armed()


def test_reads_several():
    first, second = parse("after_effect:kill9:p=0.3:seed=7; before_send:delay=0.5:at=2")

    assert (first.name, first.action, first.p, first.at) == ("after_effect", "kill9", 0.3, None)
    assert (second.name, second.action, second.delay_s, second.at) == ("before_send", "delay", 0.5, 2)


@pytest.mark.parametrize(
    "text",
    [
        "somewhere:kill9",
        "after_effect",
        "after_effect:explode",
        "after_effect:delay",
        "after_effect:kill9:p=often",
        "after_effect:kill9:when=now",
    ],
)
def test_refuses_what_it_does_not_know(text):
    with pytest.raises(WrongSetting, match="AGENTPLATFORM_FAILPOINT must be"):
        parse(text)


def test_fails_at_the_given_time_only():
    (failpoint,) = parse("after_claim:raise:at=2")
    failpoint.reach()

    with pytest.raises(Failed):
        failpoint.reach()

    failpoint.reach()


def test_the_same_seed_strikes_at_the_same_times():
    def strikes() -> list[bool]:
        (failpoint,) = parse("after_claim:raise:p=0.5:seed=7")
        return [_fails(failpoint) for _ in range(50)]

    first = strikes()

    assert strikes() == first
    assert 10 < sum(first) < 40


def test_kills_its_process():
    code = "from executions.failpoints import reach; reach('before_claim'); print('alive')"

    done = _python(code, "before_claim:kill9")

    assert (done.returncode, done.stdout) == (-9, "")


def test_an_unknown_place_is_an_error_at_the_start():
    done = _python("import executions.failpoints", "nowhere:kill9")

    assert done.returncode == 1
    assert "AGENTPLATFORM_FAILPOINT must be" in done.stderr


def test_production_refuses_to_be_armed(settings, monkeypatch):
    settings.IS_DEVELOPMENT = False
    monkeypatch.setattr(failpoints, "_armed", {"before_claim": []})

    messages = [problem.msg for problem in checks.check_production()]

    assert "AGENTPLATFORM_FAILPOINT is set." in messages


def test_costs_nothing_where_nothing_is_armed():
    began = time.perf_counter()

    for _ in range(100_000):
        failpoints.reach("before_claim")

    assert time.perf_counter() - began < 0.2


def _fails(failpoint: failpoints.Failpoint) -> bool:
    try:
        failpoint.reach()
    except Failed:
        return True
    return False


def _python(code: str, variable: str) -> subprocess.CompletedProcess[str]:
    environment = {"AGENTPLATFORM_FAILPOINT": variable, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
