"""What refuses to start."""

from __future__ import annotations

import pytest

from agentplatform.checks import check_engine, check_messages_outlive_tasks, check_production, refuse_unsafe_start

pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")  # no connection is opened

SAFE = {
    "IS_DEVELOPMENT": False,
    "DEBUG": False,
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ALLOWED_HOSTS": ["agents.example.org"],
    "DATABASES": {"default": {"NAME": "agentplatform"}},
    "REDIS_URL": "redis://:a-password@broker:6379/0",
    "BROKER_URL": "amqps://us:a-password@broker//",
    "CSRF_TRUSTED_ORIGINS": ["https://agents.example.org"],
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
        ("SECRET_KEY", "k" * 60, "AGENTPLATFORM_SECRET_KEY can be guessed"),
        (
            "SECRET_KEY",
            "django-insecure-0123456789abcdefghijklmnopqrstuvwxyz",
            "AGENTPLATFORM_SECRET_KEY can be guessed",
        ),
        ("REDIS_URL", "redis://broker:6379/0", "REDIS_URL names another machine without a password"),
        ("REDIS_URL", "redis://0.0.0.0:6379/0", "REDIS_URL names another machine without a password"),
        ("BROKER_URL", "redis://us:@broker:6379/0", "BROKER_URL names another machine without a password"),
        ("BROKER_URL", "amqp://guest:guest@rabbit//", "BROKER_URL names another machine without a password"),
        ("CSRF_TRUSTED_ORIGINS", ["https://*"], "AGENTPLATFORM_CSRF_TRUSTED_ORIGINS trusts everybody"),
        ("CSRF_TRUSTED_ORIGINS", ["http://agents.example.org"], "AGENTPLATFORM_CSRF_TRUSTED_ORIGINS trusts everybody"),
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


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "redis://[::1]/0",
        "unix:///run/valkey.sock",
        "amqp://guest:guest@127.0.0.1//",
        "rediss://broker/0?ssl_certfile=/run/us.pem",
    ],
)
def test_production_on_one_machine_may_do_without_a_password_of_the_broker(safe, url):
    safe.REDIS_URL = safe.BROKER_URL = url

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
