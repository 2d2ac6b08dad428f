"""The nouns of the command `agentplatform`: schedules, webhooks, subscriptions, approvals, credentials, money, blocks."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentplatform.local.paths import ROOT
from agentplatform_client.cli.__main__ import NOUNS
from executions.models import Delivery, OutgoingDelivery, Schedule, Subscription, Wait, Webhook
from integrations import signatures
from integrations.models import Credential
from tests.clients.test_command import SHORTEN, Shell
from tests.factories import make_user
from tests.servers import Web, running_web, running_worker, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

UNKNOWN = "01a2051a-6cc5-735c-ab08-5a6fc6e7e4f9"
SECRET = "sk-nouns-0123456789abcdef"
ASK = {
    "format": 1,
    "name": "Ask",
    "nodes": [
        {
            "id": "ask",
            "block_id": "ask-approval-block",
            "inputs": {"title": "Pay?", "editable": True, "data": {"a": 1}},
        },
        {"id": "event", "block_id": "wait-event-block", "inputs": {"name": "paid"}},
    ],
}

COPY = {
    "format": 1,
    "name": "Copy",
    "nodes": [
        {"id": "in", "block_id": "input-block", "inputs": {"name": "doc"}},
        {"id": "read", "block_id": "read-text-file-block"},
        {"id": "write", "block_id": "write-text-file-block", "inputs": {"name": "copy.txt"}},
        {"id": "out", "block_id": "output-block", "inputs": {"name": "copy"}},
    ],
    "links": [
        {"source_id": "in", "source_name": "output", "sink_id": "read", "sink_name": "file"},
        {"source_id": "read", "source_name": "text", "sink_id": "write", "sink_name": "text"},
        {"source_id": "write", "source_name": "file", "sink_id": "out", "sink_name": "input"},
    ],
}


@pytest.fixture(scope="module")
def web(django_db_setup: None) -> Iterator[Web]:
    with running_worker(), running_web() as web:
        yield web


@pytest.fixture
def shell(web: Web, tmp_path: Path) -> Shell:
    shell = Shell(web.url, make_user(), tmp_path)
    shell.write("cut.yaml", SHORTEN)
    assert shell("apply", "cut.yaml")[0] == 0
    return shell


def test_subscriptions_are_made_tried_turned_off_and_removed(shell: Shell) -> None:
    made = shell.json(
        "subscriptions", "create", "http://127.0.0.1:9/hook", "--event", "execution.failed", "--graph", "Cut"
    )
    pinged = shell.json("subscriptions", "ping", made["id"])

    off = shell.json("subscriptions", "disable", made["id"])
    given_up = shell.json("subscriptions", "deliveries", made["id"], "--status", "FAILED")
    shell.json("subscriptions", "enable", made["id"])
    again = shell.json("subscriptions", "resend", made["id"], pinged["id"])
    all_again = shell.json("subscriptions", "resend", made["id"], "--since", "2026-01-01T00:00Z")
    neither = shell("subscriptions", "resend", made["id"])
    code, listed, _ = shell("subscriptions", "list")

    assert (made["name"], made["events"], made["graph_name"]) == ("127.0.0.1:9", ["execution.failed"], "Cut")
    assert made["secret"].startswith("whsec_")
    assert [one["id"] for one in given_up] == [pinged["id"]]
    assert (off["disabled_reason"], again["status"], all_again) == ("TURNED_OFF", "PENDING", {"deliveries": 0})
    assert (neither[0], code) == (2, 0)
    assert "execution.failed" in listed
    assert made["secret"] not in listed
    assert shell("subscriptions", "rotate", made["id"])[1].strip() != made["secret"]
    assert shell("subscriptions", "delete", made["id"]) == (0, "", "delete: done.\n")
    assert not Subscription.objects.exists()
    assert not OutgoingDelivery.objects.exists()


def test_webhooks_are_made_and_what_came_is_replayed(shell: Shell, web: Web) -> None:
    made = shell.json("webhooks", "create", "Cut", "--name", "Orders", "--map", "text=/order/parts")
    body = b'{"order": {"parts": "a,b"}}'
    headers = {
        **signatures.sign(body, made["secret"], "generic", at=time.time(), delivery_id="one"),
        "Content-Type": "application/json",
    }
    with urllib.request.urlopen(urllib.request.Request(made["url"], body, headers)) as answer:
        first = json.load(answer)

    (came,) = shell.json("webhooks", "deliveries", made["id"])
    replayed = shell.json("webhooks", "replay", made["id"], came["id"])
    off = shell.json("webhooks", "disable", made["id"])
    code, listed, _ = shell("webhooks", "list")

    assert (came["execution"], replayed["replay_of"]) == (first["execution_id"], came["id"])
    assert replayed["execution"] != came["execution"]
    assert (off["is_enabled"], code) == (False, 0)
    assert "off" in listed
    assert Webhook.objects.get().mapping == {"text": "/order/parts"}
    assert shell("webhooks", "delete", made["id"])[0] == 0
    assert not Delivery.objects.exists()


def test_schedules_are_made_held_and_fired(shell: Shell) -> None:
    when = ("--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--inputs-json", '{"text": "a,b"}')
    made = shell.json("schedules", "create", "Cut", "--name", "Nightly", *when, "--overlap", "skip")
    shell.json("schedules", "pause", made["id"])

    code, shown, _ = shell("schedules", "get", made["id"])
    fired = shell.json("schedules", "fire", made["id"])
    resumed = shell.json("schedules", "resume", made["id"])
    (fire,) = shell.json("schedules", "fires", made["id"])
    listed = shell("schedules", "list")[1]
    wrong = shell("schedules", "create", "Cut", "--name", "Never", "--cron", "0 0 30 2 *")

    assert (made["overlap"], len(made["next_fires"]), code) == ("skip", 5, 0)
    assert "paused" in shown
    assert shown.count("next: ") == 5
    assert (fire["execution"], fire["is_manual"], resumed["is_paused"]) == (fired["execution"], True, False)
    assert "30 2 * * *" in listed
    assert (wrong[0], "cron" in wrong[2]) == (2, True)
    assert shell("schedules", "delete", made["id"])[0] == 0
    assert not Schedule.objects.exists()


def test_what_people_are_asked_is_answered_and_events_are_sent(shell: Shell) -> None:
    shell.write("ask.yaml", ASK)
    execution_id = shell("run", "ask.yaml", "--detach")[1].strip()
    wait_until(lambda: Wait.objects.filter(execution_id=execution_id, status="OPEN").count() == 2)

    (asked,) = shell.json("approvals", "list")
    answered = shell.json(
        "approvals", "answer", asked["id"], "--approve", "--data-json", '{"a": 2}', "--comment", "Yes."
    )
    late = shell("approvals", "answer", asked["id"], "--reject")
    told = shell("event", "paid", "--payload-json", '{"by": "ada"}')
    followed = shell("follow", execution_id)

    assert (asked["title"], answered["status"], answered["comment"]) == ("Pay?", "ANSWERED", "Yes.")
    assert (late[0], "WAIT_ALREADY_ANSWERED" in late[2]) == (2, True)
    assert told[:2] == (0, "1 firings were waiting for it.\n")
    assert followed[0] == 0
    assert shell.json("approvals", "list", "--status", "ANSWERED")[0]["id"] == asked["id"]


def test_credentials_are_added_without_showing_their_secret(shell: Shell) -> None:
    (shell.folder / "key").write_text(f"{SECRET}\n")
    (shell.folder / "login").write_text('{"username": "ada", "password": "nouns-0123456789"}')

    made = shell.json("credentials", "add", "openai", "--name", "Mine", "--secret-file", "key")
    login = shell.json(
        "credentials",
        "add",
        "smtp",
        "--name",
        "Mail",
        "--kind",
        "user_password",
        "--secret-file",
        "login",
        "--base-url",
        "smtps://mail.example.com",
    )
    code, listed, _ = shell("credentials", "list")
    no_json = shell("credentials", "add", "smtp", "--name", "Other", "--kind", "user_password", "--secret-file", "key")

    assert Credential.objects.count() == 2
    assert code == 0
    assert not any(SECRET in text for text in (json.dumps([made, login]), listed, no_json[2]))
    assert no_json[0] == 2
    assert shell("credentials", "revoke", made["id"])[0] == 0
    assert "revoked" in shell("credentials", "list")[1]
    assert shell("credentials", "delete", made["id"])[0] == 0


def test_money_and_budgets_are_shown_and_set(shell: Shell) -> None:
    graph = shell.json("list", "graphs")[0]["id"]

    made = shell.json("budgets", "set", "graph", graph, "--limit", "2500", "--daily")
    listed = shell("budgets", "list")[1]
    code, balance, _ = shell("money", "balance")

    assert (made["limit"]["text"], made["period"]) == ("$0.0025", "DAY")
    assert "$0.0025" in listed
    assert code == 0
    assert balance.startswith("credit")
    assert shell.json("money", "costs", "--by", "node") == []
    assert shell.json("money", "entries") == []
    assert shell("budgets", "set", "graph", graph, "--limit", "-1")[0] == 2
    assert shell("budgets", "delete", made["id"])[0] == 0
    assert shell.json("budgets", "list") == []


def test_blocks_are_listed_and_explained(shell: Shell) -> None:
    listed = shell("blocks", "list")[1]
    code, shown, _ = shell("blocks", "get", "split-text-block")

    assert "split-text-block" in listed
    assert code == 0
    assert "separator (string)" in shown
    assert "part (string, one item each)" in shown
    assert shell("blocks", "get", "no-such-block")[0] == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("schedules", "get", UNKNOWN), 3),
        (("subscriptions", "get", "no-id"), 2),
        (("webhooks", "replay", UNKNOWN, UNKNOWN), 3),
        (("subscriptions",), 2),
    ],
)
def test_what_is_not_there_is_told_by_the_exit_code(shell: Shell, words: Any, code: int) -> None:
    assert shell(*words)[0] == code


def test_every_noun_is_in_the_readme_of_the_client() -> None:
    readme = (ROOT / "clients/python/README.md").read_text()

    assert [noun for noun, *_ in NOUNS if f"`{noun} " not in readme] == []


def test_files_are_kept_and_got_back(shell: Shell) -> None:
    content = "grün\n".encode() * 500_000
    (shell.folder / "tea.txt").write_bytes(content)
    kept = shell.json("files", "upload", "tea.txt", "--type", "text/csv")

    assert (kept["name"], kept["content_type"], kept["size"]) == ("tea.txt", "text/csv", len(content))
    assert kept["id"] in shell("files", "list")[1]
    assert shell("files", "download", kept["id"])[0] != 0  # there is one of that name already
    assert shell("files", "download", kept["id"], "copy.txt")[0] == 0
    assert (shell.folder / "copy.txt").read_bytes() == content
    assert shell("files", "delete", kept["id"])[0] == 0
    assert shell("files", "get", kept["id"])[0] == 3


def test_a_graph_reads_a_file_and_writes_another(shell: Shell) -> None:
    shell.write("read.yaml", COPY)
    assert shell("apply", "read.yaml")[0] == 0
    (shell.folder / "tea.txt").write_text("grün", encoding="utf-8")
    kept = shell.json("files", "upload", "tea.txt")

    ended = shell.json("run", "Copy", "--input-json", f'doc={{"file_id": "{kept["id"]}"}}')

    assert shell("files", "download", ended["outputs"]["copy"]["file_id"])[0] == 0
    assert (shell.folder / "copy.txt").read_text(encoding="utf-8") == "grün"
    assert shell.json("files", "get", ended["outputs"]["copy"]["file_id"])["execution"] == ended["id"]


def test_a_file_that_is_too_large_is_refused_before_it_has_come(shell: Shell) -> None:
    with (shell.folder / "large").open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 100_000)

    assert "FILE_TOO_LARGE" in shell("files", "upload", "large")[2]
    assert shell.json("files", "list") == []
