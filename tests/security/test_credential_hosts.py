"""A credential goes to the hosts it names, and nowhere else (S27, and S4 for redirects)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from agentplatform.lib import http
from agentplatform.lib.credential_hosts import check_place, hosts_of, is_entry
from agentplatform.lib.errors import AppError
from agentplatform.lib.http_errors import CredentialHostForbidden, UrlForbidden
from blocks.code_review.post_comment import PostCommentBlock
from blocks.code_review.read_pull_request import ReadPullRequestBlock
from blocks.http.call_service import CallServiceBlock
from blocks.research.search_web import SearchWebBlock
from blocks.sdk import Block
from blocks.sdk.testing import KnownCredentials, MemoryContext, run_block
from tests.outside import address_of, allow_only, host_of, raw_server

OPENAI = ("api.openai.com",)

ELSEWHERE = [
    pytest.param("https://evil.example/v1", OPENAI, id="S27 another host"),
    pytest.param("https://api.openai.com.evil.example/v1", OPENAI, id="S27 the host as a prefix"),
    pytest.param("https://evilapi.openai.com/v1", OPENAI, id="S27 the host as a suffix"),
    pytest.param("https://eu.api.openai.com/v1", OPENAI, id="S27 a name below"),
    pytest.param("https://openai.com/v1", OPENAI, id="S27 the name above"),
    pytest.param("https://api.openai.com@evil.example/v1", OPENAI, id="S27 the host as a user"),
    pytest.param("https://evil.example#api.openai.com", OPENAI, id="S27 the host as a fragment"),
    pytest.param("https://evil.example?api.openai.com", OPENAI, id="S27 the host as a query"),
    pytest.param("https://evil.example/api.openai.com", OPENAI, id="S27 the host as a path"),
    pytest.param("https://evil.example\\.api.openai.com", OPENAI, id="S27 backslash"),
    pytest.param("https://api.openai.com%2eevil.example", OPENAI, id="S27 percent"),
    pytest.param("https://xn--pi-7kc.openai.com", OPENAI, id="S27 another letter that looks like it"),
    pytest.param("http://api.openai.com/v1", OPENAI, id="S27 in the clear"),
    pytest.param("https://api.openai.com:8443/v1", OPENAI, id="S27 another port"),
    pytest.param("http://api.openai.com:443/v1", OPENAI, id="S27 in the clear, to the usual port"),
    pytest.param("https://104.18.6.192/v1", OPENAI, id="S27 its address"),
    pytest.param("https://api.openai.com/v1", (), id="S27 allowed nowhere"),
    pytest.param("https://api.openai.com/v1", ("",), id="S27 an empty entry"),
    pytest.param("https://api.openai.com/v1", ("*",), id="S27 a star alone"),
    pytest.param("https://example.com/", ("*.example.com",), id="S27 the name above those below"),
    pytest.param("https://evilexample.com/", ("*.example.com",), id="S27 a suffix without a dot"),
    pytest.param("https://a.example.com:8443/", ("*.example.com",), id="S27 below, another port"),
    pytest.param("http://llm.internal:8081/", ("llm.internal:8080",), id="S27 own server, another port"),
    pytest.param("file:///etc/passwd", OPENAI, id="S27 file"),
]


@pytest.mark.parametrize(("url", "hosts"), ELSEWHERE)
def test_is_not_sent_elsewhere(url: str, hosts: tuple[str, ...]) -> None:
    with pytest.raises((CredentialHostForbidden, UrlForbidden)):
        http.check_hosts(url, hosts)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://api.openai.com/v1", OPENAI),
        ("https://API.OPENAI.COM./v1", OPENAI),
        ("https://api.openai.com:443/v1", OPENAI),
        ("https://api.openai.com/v1", ("other.example", " API.openai.com ")),
        ("https://a.b.example.com/", ("*.example.com",)),
        ("http://llm.internal:8080/v1", ("llm.internal:8080",)),
        ("https://llm.internal:8080/v1", ("llm.internal:8080",)),
        ("http://api.example.com/", ("api.example.com:80",)),
        ("https://b\u00fccher.example/", ("xn--bcher-kva.example",)),
        ("https://xn--bcher-kva.example/", ("b\u00fccher.example",)),
        ("http://[::1]:8080/", ("[::1]:8080",)),
    ],
)
def test_is_sent_where_it_says(url: str, hosts: tuple[str, ...]) -> None:
    http.check_hosts(url, hosts)


@pytest.mark.parametrize(
    "url",
    ["https://api.openai.com/v1", "http://llm.internal/v1", "https://[::1]:8443/", "https://b\u00fccher.example:9/"],
)
def test_is_sent_to_its_own_address(url: str) -> None:
    hosts = hosts_of(url)

    http.check_hosts(url, hosts)

    assert all(map(is_entry, hosts))


@pytest.mark.parametrize(
    "text", ["", "*", "a.*.b", "http://a.b", "a b", "a.b/c", "u@a.b", "a.b:", "a.b:0", "a.b:99999"]
)
def test_what_is_no_place_is_no_entry(text: str) -> None:
    assert not is_entry(text)


def test_a_mail_password_is_for_one_port() -> None:
    check_place("mail.example.com", 587, ("mail.example.com:587",), scheme="smtp")

    with pytest.raises(CredentialHostForbidden):
        check_place("mail.example.com", 25, ("mail.example.com:587",), scheme="smtp")


BLOCKS = [
    pytest.param(PostCommentBlock, {"input": "x", "target": "a/b#1"}, "github", id="S27 github, write"),
    pytest.param(ReadPullRequestBlock, {"input": "a/b#1"}, "github", id="S27 github, read"),
    pytest.param(SearchWebBlock, {"input": "tea"}, "search", id="S27 search"),
    pytest.param(CallServiceBlock, {"url": "{server}/x"}, "http", id="S27 http"),
    pytest.param(CallServiceBlock, {"url": "{server}/x", "method": "POST", "body": "b"}, "http", id="S27 http, write"),
]


@pytest.mark.parametrize(("block", "given", "provider"), BLOCKS)
async def test_a_block_does_not_send_it_elsewhere(
    block: type[Block], given: dict[str, Any], provider: str, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_only(monkeypatch, host_of(httpserver))
    server = address_of(httpserver)
    credential = KnownCredentials("sk-secret", base_url=server, hosts=("api.github.com",))
    filled = {name: value.replace("{server}", server) for name, value in given.items()}

    with pytest.raises(AppError) as refused:
        await run_block(block, filled, context=MemoryContext(credentials={provider: credential}))

    assert refused.value.code == "CREDENTIAL_HOST_FORBIDDEN"
    assert "sk-secret" not in str(refused.value.as_dict())
    assert httpserver.log == []


class TestRedirects:
    """S4 with a credential: `http.request(..., credential_hosts=…)`."""

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_carry_neither_key_nor_body_elsewhere(
        self, status: int, method: str, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[tuple[bool, bytes]] = []

        def answer(request: Request) -> Response:
            seen.append(("Authorization" in request.headers, request.get_data()))
            return Response("ok")

        with HTTPServer(host="127.0.0.1") as other:
            allow_only(monkeypatch, host_of(httpserver), host_of(other))
            other.expect_request("/b").respond_with_handler(answer)
            httpserver.expect_request("/a").respond_with_data(
                status=status, headers={"Location": address_of(other) + "/b"}
            )
            body = b"client_secret=x" if method == "POST" else None
            try:
                await http.request(
                    method,
                    address_of(httpserver) + "/a",
                    headers={"Authorization": "Bearer x"},
                    body=body,
                    credential_hosts=(host_of(httpserver),),
                )
                is_followed = True
            except CredentialHostForbidden:
                is_followed = False

        assert is_followed == (method == "GET" or status in (301, 302, 303))
        assert seen == ([(False, b"")] if is_followed else [])

    async def test_keep_the_key_at_its_own_origin(
        self, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        allow_only(monkeypatch, host_of(httpserver))
        httpserver.expect_request("/a").respond_with_data(status=307, headers={"Location": "/b"})
        httpserver.expect_request("/b", headers={"Authorization": "Bearer x"}, data=b"b").respond_with_data("ok")

        answer = await http.request(
            "POST",
            address_of(httpserver) + "/a",
            headers={"Authorization": "Bearer x"},
            body=b"b",
            credential_hosts=(host_of(httpserver),),
        )

        assert answer.text == "ok"


async def test_is_not_sent_before_it_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """S27: nothing is heard at the other side, not even a connection."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(b"connected")

    allow_only(monkeypatch, "127.0.0.1")
    async with raw_server(answer) as port:
        with pytest.raises(CredentialHostForbidden):
            await http.request("GET", f"http://127.0.0.1:{port}/", credential_hosts=OPENAI)

    assert heard == []
