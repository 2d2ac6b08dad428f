"""S25 and S6: what is reported to Sentry holds no secret, and goes where anything may go, or nowhere."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pytest_httpserver import HTTPServer

from agentplatform.lib.masking import Mask
from tests.outside import host_of
from tests.servers import environment_of_processes

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

SECRET = "sk-CANARY-0123456789abcdef"
CODE = f"""
import django; django.setup()
import base64, logging
import sentry_sdk
from agentplatform.lib import masking
secret = {SECRET!r}
masking.remember([secret])
logging.getLogger("a").info("a breadcrumb with %s", secret)
sentry_sdk.set_tag("tag", secret)
sentry_sdk.set_extra("extra", {{"deep": [secret, base64.b64encode(secret.encode()).decode()]}})
try:
    local = secret
    raise ValueError("told " + secret)
except ValueError:
    logging.getLogger("a").exception("logged %s", secret)
sentry_sdk.flush(20)
"""


def run(dsn: str) -> subprocess.CompletedProcess[bytes]:
    environment = environment_of_processes() | {"SENTRY_DSN": dsn}
    return subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, timeout=120, check=True)


def test_holds_no_secret(httpserver: HTTPServer):
    httpserver.expect_request("/api/1/envelope/", method="POST").respond_with_json({})

    run(f"http://public@{host_of(httpserver)}/1")

    reports = [request.get_data(as_text=True) for request, _ in httpserver.log]
    assert any("told ***" in report for report in reports)
    assert not any(Mask([SECRET]).is_in(report) for report in reports)


def test_goes_nowhere_inside():
    done = run("http://public@169.254.169.254/1")

    assert b"Sentry can not be told: 169.254.169.254 is not on the public internet." in done.stderr
    assert SECRET.encode() not in done.stderr
