"""The web's own handler: what is too large is not taken, and a request stays on one thread."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from agentplatform import web

SEEN: list[int | str] = []


def sizes(request: HttpRequest) -> HttpResponse:
    SEEN.append(len(request.body))
    return HttpResponse("taken")


async def slowly(request: HttpRequest) -> HttpResponse:
    return HttpResponse("from the event loop")


async def slowest(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0.2)
    return HttpResponse("at last")


def lengths(request: HttpRequest) -> HttpResponse:
    SEEN.append(request.headers.get("Content-Length", ""))
    return HttpResponse("told")


urlpatterns = [
    path("lengths", lengths),
    path("sizes", sizes),
    path("slowly", slowly),
    path("webhooks/x", sizes),
    path("webhooks/slow", slowest),
]


@pytest.fixture(autouse=True)
def _addresses() -> Iterator[None]:
    SEEN.clear()
    with override_settings(
        ROOT_URLCONF=__name__, DATA_UPLOAD_MAX_MEMORY_SIZE=2000, AGENTPLATFORM_MAX_WEBHOOK_BYTES=1000
    ):
        yield


@pytest.fixture
def handler() -> web.Web:
    with override_settings(MIDDLEWARE=["django.middleware.common.CommonMiddleware"]):
        return web.Web()


async def post(
    to: str, *pieces: bytes, length: int | None = None, asks_first: bool = False, handler: web.Web
) -> tuple[int, dict[str, str], bytes, int]:
    """Send a body in pieces; return status, headers and body of the answer, and how many pieces were read."""
    headers = [(b"host", b"testserver"), (b"content-type", b"application/json")]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    if asks_first:
        headers.append((b"expect", b"100-continue"))
    scope = {
        "type": "http",
        "method": "POST",
        "path": to,
        "headers": headers,
        "query_string": b"",
        "http_version": "1.1",
    }
    left, sent = list(pieces), []

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()  # whoever sent it waits for the answer
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await handler(scope, receive, send)
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, b"".join(one.get("body", b"") for one in sent[1:]), len(pieces) - len(left)


class TestABody:
    @pytest.mark.parametrize(("to", "most"), [("/sizes", 2000), ("/webhooks/x", 1000)])
    async def test_is_taken_up_to_the_limit(self, to, most, handler):
        status, _, body, _ = await post(to, b"x" * most, length=most, handler=handler)

        assert (status, body, SEEN) == (200, b"taken", [most])

    @pytest.mark.parametrize(("to", "most"), [("/sizes", 2000), ("/webhooks/x", 1000)])
    async def test_is_heard_out_and_dropped_where_it_says_that_it_is_too_large(self, to, most, handler):
        status, headers, body, read = await post(to, b"x", length=most + 1, handler=handler)

        code = "REQUEST_TOO_LARGE" if to == "/sizes" else "PAYLOAD_TOO_LARGE"
        assert (status, headers["connection"], read, SEEN) == (413, "close", 1, [])
        assert json.loads(body)["code"] == code

    async def test_is_heard_out_and_dropped_where_it_turns_out_to_be_too_large(self, handler):
        status, _, _, read = await post("/webhooks/x", *[b"x" * 400] * 100, handler=handler)

        assert (status, read, SEEN) == (413, 100, [])

    async def test_is_not_waited_for_where_its_sender_asks_first(self, handler):
        status, _, _, read = await post("/sizes", b"x", length=2001, asks_first=True, handler=handler)

        assert (status, read, SEEN) == (413, 0, [])

    async def test_is_not_heard_out_for_ever(self, monkeypatch, handler):
        monkeypatch.setattr(web, "MOST_DISCARDED", 4000)

        status, _, _, read = await post("/webhooks/x", *[b"x" * 400] * 100, handler=handler)

        assert (status, read, SEEN) == (413, 10, [])

    async def test_is_not_waited_for_where_it_never_comes(self, monkeypatch, handler):
        monkeypatch.setattr(web, "DISCARD_S", 0.01)

        status, _, _, read = await post("/sizes", length=2001, handler=handler)

        assert (status, read, SEEN) == (413, 0, [])

    async def test_is_not_waited_for_where_it_does_not_come_whole(self, monkeypatch, handler):
        monkeypatch.setattr(web, "WHOLE_WITHIN_S", 0.05)

        for to in ("/sizes", "/webhooks/x"):
            status, headers, body, _ = await post(to, length=5, handler=handler)
            assert (status, headers["connection"]) == (408, "close")
            assert json.loads(body)["code"] == "REQUEST_TOO_SLOW"
        assert SEEN == []

    async def test_has_its_length_where_it_comes_in_pieces(self, handler):
        await post("/lengths", b"x" * 7, b"y" * 5, handler=handler)
        await post("/lengths", b"", handler=handler)

        assert SEEN == ["12", ""]


class TestDeliveries:
    async def test_are_taken_one_after_the_other_for_ever(self, settings, handler):
        settings.AGENTPLATFORM_WEBHOOKS_AT_ONCE = 1

        statuses = [(await post("/webhooks/x", piece, handler=handler))[0] for piece in (b"x", b"x" * 2000, b"x")]

        assert statuses == [200, 413, 200]

    async def test_come_again_later_while_others_are_being_taken(self, settings, handler):
        settings.AGENTPLATFORM_WEBHOOKS_AT_ONCE = 2

        answers = await asyncio.gather(*(post("/webhooks/slow", b"", handler=handler) for _ in range(5)))

        assert sorted(status for status, *_ in answers) == [200, 200, 429, 429, 429]
        assert {headers["retry-after"] for status, headers, *_ in answers if status == 429} == {"1"}
        assert {json.loads(body)["code"] for status, _, body, _ in answers if status == 429} == {"TOO_MANY_DELIVERIES"}

    async def test_are_kept_out_by_nobody_who_only_says_that_he_will_send(self, settings, handler):
        settings.AGENTPLATFORM_WEBHOOKS_AT_ONCE = 1
        slow = [asyncio.create_task(post("/webhooks/x", length=5, handler=handler)) for _ in range(20)]
        await asyncio.sleep(0)

        status, *_ = await post("/webhooks/x", b"x", handler=handler)

        assert (status, SEEN, [one.done() for one in slow]) == (200, [1], [False] * 20)
        for one in slow:
            one.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    async def test_keep_nothing_else_waiting(self, settings, handler):
        settings.AGENTPLATFORM_WEBHOOKS_AT_ONCE = 1

        answers = await asyncio.gather(
            post("/webhooks/slow", b"", handler=handler), post("/sizes", b"", handler=handler)
        )

        assert [status for status, *_ in answers] == [200, 200]


async def test_an_async_view_is_answered_from_the_event_loop(handler):
    status, _, body, _ = await post("/slowly", b"", handler=handler)

    assert (status, body) == (200, b"from the event loop")


async def test_a_web_socket_is_refused_and_no_fault_of_ours(handler):
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await handler({"type": "websocket", "path": "/ws", "headers": []}, asyncio.Event().wait, send)

    assert sent == [{"type": "websocket.close"}]
