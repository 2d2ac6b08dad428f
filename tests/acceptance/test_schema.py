"""The description of the API is true: whatever is sent that it allows, what comes back is what it says, and never a fault of ours."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from agentplatform.local.paths import ROOT
from tests.blocks import node
from tests.factories import make_execution, make_key, make_published, make_user
from tests.scale import many
from tests.servers import running_web

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

#: What only a person can tell: a value of the right form may be none that there is, and a filter that is empty is no filter.
NOT_TOLD = "positive_data_acceptance,negative_data_rejection"
#: Live events never end by themselves; a key that may be revoked would end the others' answers.
LEFT_OUT = "/events/|/api-keys/"


def test_the_api_does_what_its_description_says():
    user = make_user()
    make_execution(make_published([node("only", "test.source")], owner=user))
    with running_web() as web:
        asked = subprocess.run(
            [
                *[f"{sys.prefix}/bin/st", "run", f"{web.url}/api/schema/?format=json"],
                *["--header", f"Authorization: Bearer {make_key(user)}"],
                *["--phases", "fuzzing", "--max-examples", str(many(4)), "--seed", "1", "--workers", "2"],
                *["--exclude-checks", NOT_TOLD, "--exclude-path-regex", LEFT_OUT, "--request-timeout", "30"],
                *["--generation-database", "none", "--no-color"],
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=280,
        )

        assert asked.returncode == 0, asked.stdout[-6000:] + asked.stderr[-2000:] + web.output()[-2000:]
    assert re.search(r"Tested: [1-9]", asked.stdout), asked.stdout
