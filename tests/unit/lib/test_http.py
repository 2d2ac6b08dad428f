"""The door to other machines, against real servers on this one."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from agentplatform.lib import http
from agentplatform.lib.http_errors import HeaderForbidden, HttpBadAnswer, HttpTimeout, HttpUnreachable
from tests.outside import address_of, allow_only, host_of, raw_server


@pytest.fixture
def server(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> HTTPServer:
    """A server that may be asked."""
    allow_only(monkeypatch, host_of(httpserver))
    return httpserver


class TestRequest:
    async def test_sends_what_it_is_given(self, server: HTTPServer) -> None:
        server.expect_request(
            "/a", method="POST", query_string="b=1&c=d", json={"e": 1}, headers={"X-F": "g"}
        ).respond_with_data("ok")

        answer = await http.request(
            "post", address_of(server) + "/a?b=1", params={"c": "d"}, headers={"X-F": "g"}, body={"e": 1}
        )

        assert (answer.status, answer.text, answer.is_success) == (200, "ok", True)

    async def test_gives_an_error_status_as_an_answer(self, server: HTTPServer) -> None:
        server.expect_request("/a").respond_with_data("no", status=404)

        answer = await http.request("GET", address_of(server) + "/a")

        assert (answer.status, answer.is_success) == (404, False)

    async def test_unpacks_what_is_packed(self, server: HTTPServer) -> None:
        server.expect_request("/a").respond_with_data(gzip.compress(b"tea"), headers={"Content-Encoding": "gzip"})

        answer = await http.request("GET", address_of(server) + "/a")

        assert answer.body == b"tea"
        assert "content-encoding" not in answer.headers

    async def test_reads_the_charset_and_survives_a_wrong_one(self, server: HTTPServer) -> None:
        server.expect_ordered_request("/a").respond_with_data(
            "ä".encode("latin-1"), content_type="text/plain; charset=latin-1"
        )
        server.expect_ordered_request("/a").respond_with_data(b"\xff", content_type="text/plain; charset=zip")

        texts = [(await http.request("GET", address_of(server) + "/a")).text for _ in range(2)]

        assert texts == ["ä", "\ufffd"]

    async def test_keeps_no_cookies(self, server: HTTPServer) -> None:
        seen: list[str | None] = []

        def answer(request: Request) -> Response:
            seen.append(request.headers.get("Cookie"))
            return Response("ok", headers={"Set-Cookie": "session=1; Path=/"})

        server.expect_request("/a").respond_with_handler(answer)
        client = http.client()

        for _ in range(2):
            await http.request("GET", address_of(server) + "/a")
            await client.get(address_of(server) + "/a")

        assert seen == [None] * 4

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
    async def test_reads_no_proxy_from_the_environment(
        self, variable: str, server: HTTPServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
        server.expect_request("/a").respond_with_data("ok")

        answers = [
            await http.request("GET", address_of(server) + "/a"),
            await http.client().get(address_of(server) + "/a"),
        ]

        assert [answer.text for answer in answers] == ["ok", "ok"]

    async def test_says_that_nobody_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        allow_only(monkeypatch, "127.0.0.1")

        with pytest.raises(HttpUnreachable):
            await http.request("GET", "http://127.0.0.1:9/")

    async def test_says_that_it_took_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        allow_only(monkeypatch, "127.0.0.1")

        async with raw_server(lambda *_: asyncio.sleep(5)) as port:
            with pytest.raises(HttpTimeout):
                await http.request("GET", f"http://127.0.0.1:{port}/", limits=http.Limits(timeout_s=0.1))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Host", "a"),
            ("Content-Length", "1"),
            ("Proxy-Authorization", "a"),
            ("A", "b\r\nC: d"),
            ("A\n", "b"),
            ("A", "b\0"),
        ],
    )
    async def test_refuses_headers_that_belong_to_the_connection(
        self, name: str, value: str, server: HTTPServer
    ) -> None:
        with pytest.raises(HeaderForbidden):
            await http.request("GET", address_of(server), headers={name: value})

    async def test_says_that_an_answer_is_no_json(self, server: HTTPServer) -> None:
        server.expect_request("/a").respond_with_data("<html>")

        answer = await http.request("GET", address_of(server) + "/a")

        with pytest.raises(HttpBadAnswer):
            answer.json()


class TestRedirects:
    @pytest.mark.parametrize(
        ("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
    )
    async def test_repeats_or_asks_anew_as_the_status_says(self, status: int, method: str, server: HTTPServer) -> None:
        server.expect_request("/a").respond_with_data(status=status, headers={"Location": "/b"})
        server.expect_request("/b", method=method, data=b"tea" if method == "POST" else b"").respond_with_data("ok")

        answer = await http.request("POST", address_of(server) + "/a", body=b"tea")

        assert (answer.status, answer.url) == (200, address_of(server) + "/b")

    async def test_keeps_the_headers_on_the_same_origin(self, server: HTTPServer) -> None:
        server.expect_request("/a").respond_with_data(status=302, headers={"Location": "/b"})
        server.expect_request("/b", headers={"Authorization": "Bearer x"}).respond_with_data("ok")

        answer = await http.request("GET", address_of(server) + "/a", headers={"Authorization": "Bearer x"})

        assert answer.text == "ok"


def test_serves_every_event_loop_with_its_own_connections(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_only(monkeypatch, host_of(httpserver))
    httpserver.expect_request("/a").respond_with_data("ok")

    async def ask() -> str:
        answer = await http.request("GET", address_of(httpserver) + "/a")
        await http.close()
        return answer.text

    assert [asyncio.run(ask()) for _ in range(3)] == ["ok"] * 3
