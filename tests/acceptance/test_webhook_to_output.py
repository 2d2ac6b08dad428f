"""From a push to an answer, as a user sees it: a graph drawn and a webhook made over the API, a signed delivery, a model, an output."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError

import pytest

from agentplatform.local.paths import ROOT
from executions.engine.status import FINAL
from integrations import signatures
from tests.factories import make_key, make_user
from tests.invariants import assert_invariants_hold
from tests.servers import Answer, ScriptedLlm, Web, running_web, running_worker, scripted_llm, wait_until
from tests.webhooks import DATA

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

GRAPH = """
format: 1
name: Announce a pull request
nodes:
- {id: title, block_id: input-block, inputs: {name: title}}
- {id: author, block_id: input-block, inputs: {name: author}}
- id: ask
  block_id: template-block
  inputs: {template: "Announce in one sentence what {{ author }} proposes: {{ title }}"}
- {id: model, block_id: llm-chat-block}
- {id: said, block_id: output-block, inputs: {name: announcement}}
links:
- {source_id: title, source_name: output, sink_id: ask, sink_name: "values_#_title"}
- {source_id: author, source_name: output, sink_id: ask, sink_name: "values_#_author"}
- {source_id: ask, source_name: output, sink_id: model, sink_name: prompt}
- {source_id: model, source_name: response, sink_id: said, sink_name: input}
"""
SAID = "Codertocat proposes to update the README."


@dataclass(frozen=True)
class User:
    """Somebody with a key, on a web that runs."""

    web: Web
    key: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the API. A text is sent as YAML."""
        is_yaml = isinstance(body, str)
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/yaml" if is_yaml else "application/json",
        }
        sent = body.encode() if is_yaml else json.dumps(body).encode() if body is not None else None
        status, answer = send(f"{self.web.url}/api/v1/{path}", sent, headers, method=method)
        assert status < 300, answer
        return answer

    def outcome(self, execution_id: str) -> Any:
        """Return an execution once it has ended."""

        def ended() -> Any:
            execution = self.ask("GET", f"executions/{execution_id}/")
            return execution if execution["status"] in FINAL else None

        return wait_until(ended, within_s=60, what="The end")


def send(url: str, body: bytes | None, headers: dict[str, str], *, method: str = "POST") -> tuple[int, Any]:
    """Send a request and return its status and its answer."""
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture
def llm() -> Iterator[ScriptedLlm]:
    with scripted_llm(default=Answer(text=SAID, input_tokens=31, output_tokens=9)) as llm:
        yield llm


@pytest.fixture
def user(llm: ScriptedLlm) -> Iterator[User]:
    key = make_key(make_user("ada"))
    with running_web() as web, running_worker(extra_env={"OPENAI_BASE_URL": llm.url}):
        yield User(web, key)


def published(user: User, graph: str) -> str:
    graph_id: str = user.ask("POST", "graphs/", graph)["id"]
    user.ask("POST", f"graphs/{graph_id}/publish/")
    return graph_id


def test_a_pull_request_is_announced_once(user, llm):
    webhook = user.ask(
        "POST",
        "webhooks/",
        {
            "graph": published(user, GRAPH),
            "name": "Pull requests",
            "provider": "github",
            "events": ["pull_request.opened"],
            "mapping": {"title": "/pull_request/title", "author": "/pull_request/user/login"},
        },
    )

    def deliver(event: str, delivery_id: str, *, secret: str = webhook["secret"]) -> tuple[int, Any]:
        body = (DATA / f"{event}.json").read_bytes()
        signed = signatures.sign(body, secret, "github", at=0, delivery_id=delivery_id)
        kind = {"X-GitHub-Event": event, "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/044aadd"}
        return send(webhook["url"], body, {**signed, **kind})

    answers = [
        deliver("ping", "a"),
        deliver("push", "b"),
        deliver("pull_request", "c"),
        deliver("pull_request", "c"),
        deliver("pull_request", "d", secret="somebody else's, and as long"),
    ]

    assert [(status, answer.get("status")) for status, answer in answers] == [
        (202, "ignored"),
        (202, "ignored"),
        (202, "queued"),
        (200, "queued"),
        (401, 401),
    ]
    assert answers[2][1]["execution_id"] == answers[3][1]["execution_id"]
    execution = user.outcome(answers[2][1]["execution_id"])
    assert (execution["status"], execution["outputs"]) == ("SUCCEEDED", {"announcement": SAID})
    assert (execution["input_tokens"], execution["output_tokens"]) == (31, 9)
    (asked,) = llm.requests
    assert asked["messages"][-1]["content"].endswith(
        "what Codertocat proposes: Update the README with new information."
    )
    deliveries = user.ask("GET", f"webhooks/{webhook['id']}/deliveries/")["results"]
    assert [(row["name"], row["status"]) for row in deliveries] == [
        ("c", "ACCEPTED"),
        ("b", "IGNORED"),
        ("a", "IGNORED"),
    ]
    assert_invariants_hold()


def test_the_lines_of_the_documentation_send_a_delivery(user):
    page = (ROOT / "docs" / "webhooks.md").read_text()
    (lines,) = re.findall(r"In a shell:\n\n((?:    .*\n)+)", page)
    graph = GRAPH.replace("name: author}", "name: author, default: nobody}").replace("name: title", "name: order")
    webhook = user.ask("POST", "webhooks/", {"graph": published(user, graph), "name": "Orders"})

    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        env={"PATH": "/usr/bin:/bin", "URL": webhook["url"], "SECRET": webhook["secret"]},
        capture_output=True,
        check=True,
    )

    answer = json.loads(ran.stdout)
    assert answer["status"] == "queued", answer
    assert user.outcome(answer["execution_id"])["inputs"] == {"order": 12}
