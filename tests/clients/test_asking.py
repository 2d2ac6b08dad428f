"""When the client asks again, and when it must not: answers come from the test, no server is asked."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from agentplatform_client import ApiError, Client, Refused, Unreachable, UsageError, asking, executions, files, graphs

Answer = httpx2.Response | Exception


class Script(httpx2.BaseTransport):
    """Answers in order, and keeps what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def ok(**body: Any) -> httpx2.Response:
    return httpx2.Response(200, json=body)


def refusal(status: int, code: str, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, json={"code": code, "message": "No.", "hint": "Do."}, headers=headers)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited before each further try; nobody really waits."""
    waited: list[float] = []
    # Its own name for the module, as other threads of this process sleep too.
    monkeypatch.setattr("agentplatform_client.client.time", SimpleNamespace(sleep=waited.append, monotonic=monotonic))
    return waited


def asked(script: Script, act: Callable[[Client], Any]) -> Any:
    with Client("http://platform", "key", transport=script) as client:
        return act(client)


def test_what_passes_is_asked_again(pauses: list[float]) -> None:
    script = Script(httpx2.ReadError("gone"), refusal(503, "X"), ok(id="7"))

    assert asked(script, lambda client: client.do(executions.get("7"))) == {"id": "7"}
    assert len(pauses) == 2


def test_a_start_is_sent_again_with_the_same_key(pauses: list[float]) -> None:
    script = Script(httpx2.ReadError("gone"), httpx2.Response(202, json={"id": "7"}))

    asked(script, lambda client: client.do(executions.start(graph="1")))

    first, second = (request.headers["Idempotency-Key"] for request in script.asked)
    assert first == second != ""


def test_a_file_is_sent_again_with_the_same_key_and_whole(pauses: list[float]) -> None:
    script = Script(httpx2.ReadError("gone"), refusal(503, "X"), httpx2.Response(201, json={"id": "7"}))

    asked(script, lambda client: client.do(files.upload("tea.txt", io.BytesIO(b"green tea"))))

    assert len({request.headers["Idempotency-Key"] for request in script.asked}) == 1
    assert [b"green tea" in b"".join(cast(httpx2.SyncByteStream, one.stream)) for one in script.asked] == [True] * 3


@pytest.mark.parametrize("failure", [httpx2.ReadError("gone"), refusal(429, "THROTTLED")])
def test_what_comes_through_a_pipe_is_not_sent_again(failure: Answer, pauses: list[float]) -> None:
    readable, writable = os.pipe()
    os.close(writable)

    with open(readable, "rb") as pipe, pytest.raises((ApiError, Unreachable)):
        asked(Script(failure, ok()), lambda client: client.do(files.upload("tea.txt", pipe)))

    assert pauses == []


@pytest.mark.parametrize("failure", [httpx2.ReadError("gone"), refusal(503, "DATABASE_UNAVAILABLE")])
def test_what_may_have_happened_is_not_asked_twice(failure: Answer, pauses: list[float]) -> None:
    with pytest.raises(Unreachable):
        asked(Script(failure, ok()), lambda client: client.do(graphs.create({"name": "A"})))

    assert pauses == []


def test_what_can_not_have_happened_is(pauses: list[float]) -> None:
    script = Script(httpx2.ConnectError("refused"), refusal(429, "THROTTLED", **{"Retry-After": "7"}), ok(id="1"))

    asked(script, lambda client: client.do(graphs.create({"name": "A"})))

    assert pauses[1] == 7


def test_it_ends_at_some_time(pauses: list[float]) -> None:
    with pytest.raises(Unreachable):
        asked(Script(*[httpx2.ConnectError("refused")] * 9), lambda client: client.do(executions.get("7")))

    assert len(pauses) == asking.ATTEMPTS


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(401, "NOT_AUTHENTICATED"), Refused),
        (refusal(403, "PERMISSION_DENIED"), Refused),
        (refusal(422, "EXECUTION_INPUTS_INVALID"), ApiError),
        (refusal(500, "ERROR"), Unreachable),
        (httpx2.Response(404, text="<h1>nginx</h1>"), Unreachable),
        (httpx2.Response(200, text="<h1>Welcome</h1>"), Unreachable),
        (httpx2.Response(301, headers={"Location": "https://elsewhere/"}), Unreachable),
    ],
)
def test_each_failure_is_told_for_what_it_is(
    answer: httpx2.Response, error: type[Exception], pauses: list[float]
) -> None:
    with pytest.raises(error) as failed:
        asked(Script(answer), lambda client: client.do(executions.get("7")))

    assert type(failed.value) is error


def test_an_id_can_not_lead_elsewhere(pauses: list[float]) -> None:
    script = Script(ok())

    asked(script, lambda client: client.do(executions.get("../../graphs/?x#")))

    assert script.asked[0].url.raw_path == b"/api/v1/executions/..%2F..%2Fgraphs%2F%3Fx%23/"


def test_the_next_page_is_asked_for_where_this_one_was(pauses: list[float]) -> None:
    script = Script(ok(results=[1], next="http://inside:8000/api/v1/executions/?cursor=2"), ok(results=[2], next=None))

    assert asked(script, lambda client: list(client.each(executions.find()))) == [1, 2]
    assert str(script.asked[1].url) == "http://platform/api/v1/executions/?cursor=2"


@pytest.mark.parametrize(
    ("url", "key"), [("", "k"), ("platform", "k"), ("http://platform", ""), ("http://platform", "k\n")]
)
def test_without_an_address_and_a_key_nothing_is_asked(url: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTPLATFORM_URL", raising=False)
    monkeypatch.delenv("AGENTPLATFORM_API_KEY", raising=False)

    with pytest.raises(UsageError):
        Client(url, key)
