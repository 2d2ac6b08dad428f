"""The description of the API is true: whatever is sent that it allows, what comes back is what it says, and never a fault of ours."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from agentplatform.local.paths import ROOT
from executions.engine.status import Status
from tests.blocks import node
from tests.factories import make_execution, make_key, make_published, make_user
from tests.scale import many
from tests.servers import running_web

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

#: What is tried, and the operations of which only a person can tell what is accepted, each with its reason.
CONFIGURATION = ROOT / "tests/acceptance/schemathesis.toml"
#: Asked for a key that is known, these end it or take away what it opens: so it has a run of its own.
OF_ONE_KEY = r"/api-keys/\{id\}/"


@pytest.mark.parametrize("which", ["--exclude-path-regex", "--include-path-regex"])
def test_the_api_does_what_its_description_says(which):
    user = make_user()
    # One that has ended: what is told of it live comes to an end.
    make_execution(make_published([node("only", "test.source")], owner=user), status=Status.SUCCEEDED)
    with running_web() as web:
        asked = subprocess.run(
            [
                *[
                    f"{sys.prefix}/bin/st",
                    "--config-file",
                    str(CONFIGURATION),
                    "run",
                    f"{web.url}/api/schema/?format=json",
                ],
                *["--header", f"Authorization: Bearer {make_key(user)}"],
                *["--phases", "fuzzing", "--max-examples", str(many(4)), "--seed", "1", "--workers", "2"],
                *[which, OF_ONE_KEY, "--request-timeout", "30"],
                *["--generation-database", "none", "--no-color"],
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=280,
        )

        failures = asked.stdout.partition("= FAILURES =")[2].partition("= WARNINGS =")[0]
        assert asked.returncode == 0, (failures or asked.stdout)[:20_000] + asked.stderr[-2000:]
    assert re.search(r"Tested: [1-9]", asked.stdout), asked.stdout
