"""What refuses to start."""

from __future__ import annotations

import pytest

from agentplatform.checks import check_engine, check_messages_outlive_tasks, check_production, refuse_unsafe_start

pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")  # no connection is opened

SAFE = {
    "IS_DEVELOPMENT": False,
    "DEBUG": False,
    "SECRET_KEY": "k" * 60,
    "ALLOWED_HOSTS": ["agents.example.org"],
    "DATABASES": {"default": {"NAME": "agentplatform"}},
    "REDIS_URL": "redis://broker:6379/0",
    "AGENTPLATFORM_ENCRYPTION_KEYS": ["a" * 43 + "="],
    "SESSION_COOKIE_SECURE": True,
}


@pytest.fixture
def safe(settings):
    for name, value in SAFE.items():
        setattr(settings, name, value)
    return settings


def test_a_safe_production_starts(safe):
    assert check_production() == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SECRET_KEY", "", "AGENTPLATFORM_SECRET_KEY is missing"),
        ("SECRET_KEY", "short", "AGENTPLATFORM_SECRET_KEY is missing or shorter"),
        ("DEBUG", True, "AGENTPLATFORM_DEBUG is on"),
        ("ALLOWED_HOSTS", [], "AGENTPLATFORM_ALLOWED_HOSTS is empty"),
        ("ALLOWED_HOSTS", ["*"], "AGENTPLATFORM_ALLOWED_HOSTS allows every name"),
        ("DATABASES", {"default": {}}, "DATABASE_URL is missing"),
        ("REDIS_URL", "", "REDIS_URL is missing"),
        ("AGENTPLATFORM_ENCRYPTION_KEYS", [], "AGENTPLATFORM_ENCRYPTION_KEYS is missing"),
        ("AGENTPLATFORM_ENCRYPTION_KEYS", ["changeme"], "AGENTPLATFORM_ENCRYPTION_KEYS holds something that is no key"),
        ("SESSION_COOKIE_SECURE", False, "AGENTPLATFORM_HTTPS is off"),
    ],
)
def test_production_refuses(safe, name, value, message):
    setattr(safe, name, value)

    (problem,) = check_production()

    assert problem.msg.startswith(message)
    assert problem.hint
    assert problem.is_serious()


def test_production_on_localhost_may_do_without_https(safe):
    safe.SESSION_COOKIE_SECURE, safe.ALLOWED_HOSTS = False, ["localhost", "127.0.0.1"]

    assert check_production() == []


def test_a_heartbeat_that_fits_only_once_into_a_lease_is_refused(settings):
    settings.AGENTPLATFORM_HEARTBEAT_S, settings.AGENTPLATFORM_LEASE_S = 5.0, 10.0

    assert [problem.id for problem in check_engine()] == ["agentplatform.E050"]


def test_a_block_that_may_take_longer_than_the_redelivery_is_refused(settings):
    settings.AGENTPLATFORM_BLOCK_TIMEOUT_S = 3600.0

    assert [problem.id for problem in check_messages_outlive_tasks()] == ["agentplatform.E051"]


def test_the_start_lists_every_problem_and_leaves(safe, capsys):
    safe.DEBUG, safe.REDIS_URL = True, ""

    with pytest.raises(SystemExit):
        refuse_unsafe_start()

    said = capsys.readouterr().err
    assert "AGENTPLATFORM_DEBUG is on" in said
    assert "REDIS_URL is missing" in said
