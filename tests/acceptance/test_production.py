"""S23 and S39: a production that is not safe does not start, whichever process it is; one that is sets cookies that nobody else can use."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from http.cookies import SimpleCookie
from pathlib import Path

import httpx2
import pytest
from django.conf.global_settings import PASSWORD_HASHERS
from django.contrib.auth import get_user_model

from agentplatform.local.paths import ROOT
from tests.servers import Web, environment_of_processes, running_web

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

NAME = "agents.example.org"
SAFE = {
    "AGENTPLATFORM_ENV": "production",
    "AGENTPLATFORM_SECRET_KEY": secrets.token_urlsafe(64),
    "AGENTPLATFORM_ENCRYPTION_KEYS": urlsafe_b64encode(os.urandom(32)).decode(),
    "AGENTPLATFORM_ALLOWED_HOSTS": NAME,
    "AGENTPLATFORM_BEHIND_PROXY": "true",
}
#: Some of them, as processes meet them; tests/unit/agentplatform/test_checks.py has all.
UNSAFE = {
    "no keys at all": (
        {"AGENTPLATFORM_SECRET_KEY": "", "AGENTPLATFORM_ENCRYPTION_KEYS": ""},
        "AGENTPLATFORM_ENCRYPTION_KEYS is missing",
    ),
    "every host": ({"AGENTPLATFORM_ALLOWED_HOSTS": "*"}, "AGENTPLATFORM_ALLOWED_HOSTS allows every name"),
    "an open broker": ({"REDIS_URL": "redis://0.0.0.0:6379/0", "BROKER_URL": ""}, "REDIS_URL names another machine"),
    "debug": ({"AGENTPLATFORM_DEBUG": "true"}, "AGENTPLATFORM_DEBUG is on"),
}
PROCESSES = {
    "asgi": ["-m", "uvicorn", "agentplatform.asgi:application", "--port=0"],
    "wsgi": ["-c", "import agentplatform.wsgi"],
    "worker": ["-m", "celery", "-A", "agentplatform", "worker", "-P", "solo"],
    "beat": ["-m", "celery", "-A", "agentplatform", "beat", "--schedule={folder}/beat"],
    "command": ["manage.py", "check"],
}


def started(process: str, environment: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Start a process of a production with this environment; return how it ended.

    Beat removes and makes its file anew: never one of the machine's own.
    """
    arguments = [argument.format(folder=folder) for argument in PROCESSES[process]]
    variables = environment_of_processes() | SAFE | dict(environment)
    return subprocess.run(
        [sys.executable, *arguments], env=variables, cwd=ROOT, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_the_web_does_not_start_with(unsafe, tmp_path):
    environment, message = UNSAFE[unsafe]

    ended = started("asgi", environment, tmp_path)

    assert ended.returncode != 0
    assert message in ended.stderr


@pytest.mark.parametrize("process", [name for name in PROCESSES if name != "asgi"])
def test_nothing_else_starts_either(process, tmp_path):
    ended = started(process, UNSAFE["every host"][0], tmp_path)

    assert ended.returncode != 0
    assert UNSAFE["every host"][1] in ended.stderr + ended.stdout


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """A safe production, behind something that ends TLS."""
    # Whoever waits for its start asks for it by that name.
    hosts = {"AGENTPLATFORM_ALLOWED_HOSTS": f"{NAME},localhost"}
    environment = SAFE | hosts | {"AGENTPLATFORM_STATIC_ROOT": str(tmp_path)}
    variables = environment_of_processes() | environment
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0"]
    subprocess.run(collect, env=variables, cwd=ROOT, check=True, timeout=120)
    with running_web(extra_env=environment) as running:
        yield running


def test_a_safe_one_starts_answers_to_its_name_and_its_cookies_are_of_this_host_alone(web, settings):
    settings.PASSWORD_HASHERS = PASSWORD_HASHERS  # tests have a quicker one
    get_user_model().objects.create_superuser("root", password="a long enough password")
    through_tls = {"Host": NAME, "X-Forwarded-Proto": "https", "Referer": f"https://{NAME}/admin/login/"}
    with httpx2.Client(base_url=web.url, headers=through_tls) as browser:
        page = browser.get("/admin/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token, page.text[:2000]
        cookies = {"Cookie": f"__Host-csrftoken={cookies_of(page)['__Host-csrftoken'].value}"}
        form = {"username": "root", "password": "a long enough password", "csrfmiddlewaretoken": token[1]}
        entered = browser.post("/admin/login/", data=form, headers=cookies)
        plain = browser.get("/admin/login/", headers={"X-Forwarded-Proto": "http"})
        elsewhere = browser.get("/api/v1/me/", headers={"Host": "evil.example"})

    assert (page.status_code, entered.status_code, plain.status_code) == (200, 302, 301)
    set_ = cookies_of(page) | cookies_of(entered)
    assert set(set_) == {"__Host-csrftoken", "__Host-sessionid"}
    for cookie in set_.values():
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
        assert (cookie["path"], cookie["domain"]) == ("/", "")
    assert page.headers["strict-transport-security"].startswith("max-age=31536000")
    assert plain.headers["location"].startswith("https://")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (400, "BAD_REQUEST")


def cookies_of(answer: httpx2.Response) -> SimpleCookie:
    cookies: SimpleCookie = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        cookies.load(header)
    return cookies
