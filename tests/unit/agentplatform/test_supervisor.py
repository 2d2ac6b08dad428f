"""Processes that are watched over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agentplatform.local.errors import LocalError, ServiceFailed
from agentplatform.local.paths import ROOT
from agentplatform.local.ports import free_port
from agentplatform.local.supervisor import Interrupted, Service, Supervisor
from tests.servers import wait_until


def service(code, **options):
    return Service(
        name=options.pop("name", "child"), argv=[sys.executable, "-c", code], env=dict(os.environ), **options
    )


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(tmp_path, said):
    with Supervisor(tmp_path, say=said.append) as supervisor:
        yield supervisor


def test_waits_until_a_service_is_ready(supervisor, tmp_path):
    marker = tmp_path / "ready"

    supervisor.start(service(f"open({str(marker)!r}, 'w'); {SLEEP}", is_ready=marker.exists))

    assert marker.exists()


def test_tells_the_end_of_the_log_of_a_service_that_keeps_dying(supervisor):
    with pytest.raises(ServiceFailed, match=r"child died \(exit 3\) 5 times in a row.*\n(.*\n)*.*no port left"):
        supervisor.start(service("import sys; print('no port left'); sys.exit(3)", is_ready=lambda: False))


def test_gives_up_on_one_that_is_never_ready(supervisor):
    with pytest.raises(ServiceFailed, match=r"was not ready within 0\.2 s"):
        supervisor.start(service(SLEEP, is_ready=lambda: False, ready_after_s=0.2))


def test_restarts_what_was_killed(supervisor, said):
    supervisor.start(service(SLEEP))
    (running,) = supervisor.batches[0]
    first = running.process.pid

    os.kill(first, signal.SIGKILL)
    supervisor.watch(until=lambda: running.process.pid != first and is_alive(running.process.pid))

    assert "died (SIGKILL); starting it again" in said[0]


def test_stops_the_youngest_batch_first(supervisor, tmp_path):
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def leave(*_): open(sys.argv[1], 'a').write(sys.argv[2]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave); print('up', flush=True); time.sleep(60)"
    )
    for name in ("old", "young"):
        log = tmp_path / f"{name}.log"
        supervisor.start(
            Service(
                name=name,
                argv=[sys.executable, "-c", code, str(order), name],
                env=dict(os.environ),
                is_ready=lambda log=log: "up" in log.read_text(),
            )
        )

    supervisor.stop()

    assert order.read_text() == "youngold"


def test_kills_what_does_not_stop_and_its_children(supervisor, tmp_path, said):
    pids = tmp_path / "pids"
    code = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}} ')\n"
        "time.sleep(60)"
    )
    supervisor.start(service(code, is_ready=lambda: pids.exists() and pids.read_text().endswith(" "), stop_after_s=0.2))

    supervisor.stop()

    assert said == ["child did not stop in time and is killed."]
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()))


def test_a_signal_ends_the_watch(supervisor):
    supervisor.start(service(SLEEP))
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()

    with pytest.raises(Interrupted):
        supervisor.watch()


def test_ctrl_c_in_a_command_leaves_no_traceback():
    program = "import os, signal, runpy, django.core.management as m; "
    ctrl_c = "m.execute_from_command_line = lambda argv: os.kill(os.getpid(), signal.SIGINT) or signal.pause(); "
    run = "runpy.run_path('manage.py', run_name='__main__')"

    ended = subprocess.run([sys.executable, "-c", program + ctrl_c + run], cwd=ROOT, capture_output=True, text=True)

    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"AGENTPLATFORM_LOG_LEVEL": "LOUD"}, "AGENTPLATFORM_LOG_LEVEL must be one of"),
        ({"AGENTPLATFORM_EXTRA_BLOCKS": "nowhere:LIST"}, "Name it `module:LIST`."),
    ],
)
def test_a_wrong_setting_is_told_in_a_line(wrong, told):
    asked = [sys.executable, "manage.py", "check"]

    ended = subprocess.run(asked, cwd=ROOT, env={**os.environ, **wrong}, capture_output=True, text=True)

    assert (ended.returncode, ended.stderr.count("\n"), told in ended.stderr) == (1, 1, True)


def test_an_address_that_is_none_of_this_machine_is_told():
    with pytest.raises(LocalError, match=r"192\.0\.2\.1"):
        free_port(8000, "192.0.2.1")


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path):
    code = (
        "import os, sys, pathlib\n"
        "from agentplatform.local.supervisor import Service, Supervisor\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "with Supervisor(folder) as supervisor:\n"
        f"    supervisor.start(Service(name='child', argv=[sys.executable, '-c', {SLEEP!r}], env=dict(os.environ)))\n"
        "    print(supervisor.batches[0][0].process.pid, flush=True)\n"
        "    supervisor.watch()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        time.sleep(0.1)

        parent.kill()

        wait_until(lambda: not is_alive(child), within_s=5)
