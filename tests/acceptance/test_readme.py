"""What the README tells to type works as it stands there: its curl lines are run, word by word, on real servers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentplatform.local.paths import ROOT
from executions.models import Execution, StartKey
from tests.factories import make_key, make_user
from tests.servers import Answer, Web, running_web, running_worker, scripted_llm

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

README = (ROOT / "README.md").read_text(encoding="utf-8")
#: The one thing that is replaced: where a test's own web listens.
ADDRESS = "localhost:8000"


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of the README in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def web(django_db_setup: None) -> Iterator[Web]:
    with scripted_llm(default=lambda body: Answer("Short.")) as llm:
        environment = {"OPENAI_BASE_URL": llm.url, "OPENAI_API_KEY": "sk-readme-0123456789", "OPENAI_MODEL": "m"}
        with running_worker(extra_env=environment), running_web(extra_env=environment) as web:
            yield web


def type_in(script: str, folder: Path) -> str:
    """Return what a shell prints for a script, which must not fail anywhere."""
    shell = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(shell, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="curl and jq are what the README uses")
def test_its_curl_lines_start_a_graph_and_show_what_came_out(web, tmp_path):
    user = make_user()
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "api_key").write_text(make_key(user))
    (document,) = [text for text in blocks("yaml") if "format: 1" in text]
    (tmp_path / "shorten.yaml").write_text(document)
    scripts = [text for text in blocks("bash") if "curl" in text]

    printed = "".join(type_in(text.replace(ADDRESS, web.url.removeprefix("http://")), tmp_path) for text in scripts)

    assert sum(text.count("curl ") for text in scripts) == README.count("curl ") > 0
    execution = Execution.objects.get(owner_id=user.pk)
    assert (execution.status, execution.outputs) == ("SUCCEEDED", {"result": "Short.\nShort."})
    assert '"result": "Short.\\nShort."' in printed
    assert "event: execution.succeeded" in printed
    assert StartKey.objects.get().execution_id == execution.pk
