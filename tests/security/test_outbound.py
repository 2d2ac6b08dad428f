"""Where the door must not lead, and what it must not let in (S1 to S4, S6, S7)."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from ipaddress import ip_address
from time import monotonic

import httpx2
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from agentplatform.lib import http
from agentplatform.lib.addresses import Address, AllowedHosts
from agentplatform.lib.errors import AppError
from agentplatform.lib.http_errors import HttpBadAnswer, HttpTimeout, HttpTooLarge, UrlForbidden
from agentplatform.lib.outbound import GuardedTransport
from tests.outside import address_of, allow_only, host_of, raw_server

INSIDE = [
    pytest.param("http://169.254.169.254/", id="S1 metadata"),
    pytest.param("http://[fd00:ec2::254]/", id="S1 metadata IPv6"),
    pytest.param("http://metadata.google.internal/", id="S1 metadata name"),
    pytest.param("http://100.100.100.200/", id="S1 metadata of another cloud"),
    pytest.param("http://168.63.129.16/", id="S1 host of a public cloud"),
    pytest.param("http://192.0.0.192/", id="S1 metadata of a third cloud"),
    pytest.param("http://[fd20:ce::254]/", id="S1 metadata of a public cloud, IPv6"),
    pytest.param("http://instance-data/latest/", id="S1 metadata, short name"),
    pytest.param("http://169.254.169.254.:80/", id="S1 metadata, with a dot"),
    pytest.param("http://2852039166/", id="S1 metadata, one number"),
    pytest.param("http://[::ffff:a9fe:a9fe]/", id="S1 metadata, mapped"),
    pytest.param("http://127.0.0.1/", id="S2 loopback"),
    pytest.param("http://2130706433/", id="S2 one number"),
    pytest.param("http://0x7f.1/", id="S2 hexadecimal"),
    pytest.param("http://0177.0.0.1/", id="S2 octal"),
    pytest.param("http://127.1/", id="S2 short"),
    pytest.param("http://0.0.0.0/", id="S2 any"),
    pytest.param("http://0/", id="S2 any, short"),
    pytest.param("http://[::]/", id="S2 any IPv6"),
    pytest.param("http://[::1]/", id="S2 loopback IPv6"),
    pytest.param("http://[::ffff:127.0.0.1]/", id="S2 mapped"),
    pytest.param("http://[::ffff:7f00:1]/", id="S2 mapped, in hexadecimal"),
    pytest.param("http://[::127.0.0.1]/", id="S2 compatible"),
    pytest.param("http://[64:ff9b::7f00:1]/", id="S2 NAT64"),
    pytest.param("http://[2002:7f00:1::]/", id="S2 6to4"),
    pytest.param("http://[64:ff9b:1::7f00:1]/", id="S2 NAT64 of a network's own"),
    pytest.param("http://[2001:0:7f00:1::]/", id="S2 Teredo"),
    pytest.param("http://[::ffff:0:7f00:1]/", id="S2 translated"),
    pytest.param("http://[fec0::1]/", id="S2 site-local"),
    pytest.param("http://[ff02::1]/", id="S2 multicast IPv6"),
    pytest.param("http://[fc00::1]/", id="S2 unique local"),
    pytest.param("http://[::1%25lo]/", id="S2 loopback with a zone"),
    pytest.param("http://0x7f000001/", id="S2 hexadecimal, one number"),
    pytest.param("http://017700000001/", id="S2 octal, one number"),
    pytest.param("http://127.0.0.1./", id="S2 with a dot"),
    pytest.param("http://127.65535/", id="S2 short, large part"),
    pytest.param("http://10.0.0.1/", id="S2 private, 10"),
    pytest.param("http://172.16.0.1/", id="S2 private, 172.16"),
    pytest.param("http://192.168.0.1/", id="S2 private, 192.168"),
    pytest.param("http://100.64.0.1/", id="S2 shared by a carrier"),
    pytest.param("http://198.18.0.1/", id="S2 for benchmarks"),
    pytest.param("http://224.0.0.1/", id="S2 multicast"),
    pytest.param("http://240.0.0.1/", id="S2 reserved"),
    pytest.param("http://255.255.255.255/", id="S2 broadcast"),
    pytest.param("http://[fe80::1%25eth0]/", id="S2 with a zone"),
    pytest.param("http://%6c%6fcalhost/", id="S2 percent"),
    pytest.param("http://\uff11\uff12\uff17.0.0.1/", id="S2 fullwidth digits"),
    pytest.param("http://\u2460\u2461\u2466.0.0.1/", id="S2 circled digits"),
    pytest.param("http://127\u30020\u30020\u30021/", id="S2 ideographic dots"),
    pytest.param("http://localhost/", id="S2 name"),
    pytest.param("http://LOCALHOST./", id="S2 name with a dot"),
    pytest.param("http://db:5432/", id="S2 single label"),
    pytest.param("http://a.localhost/", id="S2 below localhost"),
    pytest.param("http://db.svc.cluster.local/", id="S2 name inside a cluster"),
    pytest.param("http://127.0.0.1\\@example.com/", id="S2 backslash that looks like userinfo"),
    pytest.param("http://127.0.0.1%2f@example.com/", id="S2 slash that looks like userinfo"),
    pytest.param("http://127.0.0.1:80:80/", id="S2 two ports"),
    pytest.param("http://\t127.0.0.1/", id="S2 tab"),
    pytest.param("http://example.com:0/", id="port 0"),
    pytest.param("http://user:key@example.com/", id="userinfo"),
    pytest.param("http://127.0.0.1#@example.com/", id="fragment that looks like userinfo"),
    pytest.param("http://example.com:22/", id="port of a system service"),
    pytest.param("http:///path", id="no host"),
    pytest.param("file:///etc/passwd", id="S4 file"),
    pytest.param("gopher://example.com/", id="S4 gopher"),
    pytest.param("ftp://example.com/", id="S4 ftp"),
    pytest.param("data:text/plain,x", id="S4 data"),
    pytest.param("unix:///var/run/docker.sock", id="S4 socket of the machine"),
    pytest.param("http+unix://%2Fvar%2Frun%2Fdocker.sock/info", id="S4 socket of the machine, over http"),
    pytest.param("//example.com/", id="no scheme"),
    pytest.param("http://exa\0mple.com/", id="NUL"),
    pytest.param("http://exa\r\nmple.com/", id="line break"),
    pytest.param("", id="nothing"),
]


@pytest.mark.parametrize("url", INSIDE)
async def test_refuses_an_address_inside_before_it_connects(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    allow_only(monkeypatch)

    with pytest.raises(UrlForbidden):
        await http.request("GET", url)


@pytest.mark.parametrize("url", INSIDE)
async def test_refuses_it_to_a_library_too(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    allow_only(monkeypatch)

    with pytest.raises((UrlForbidden, httpx2.InvalidURL, httpx2.UnsupportedProtocol)):
        await http.client().get(url)


class Names:
    """A name server that answers from a list, each time with the next entry."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(self, host: str, port: int) -> list[Address]:
        self.asked += 1
        return [ip_address(text) for text in self.answers.pop(0)]

    def transport(self, *allowed: str) -> GuardedTransport:
        return GuardedTransport(allowed=lambda: AllowedHosts.parse(allowed), max_bytes=1_000, resolve=self.resolve)


class TestNames:
    @pytest.mark.parametrize(
        "addresses",
        [
            pytest.param(["127.0.0.1"], id="S3 a public name that leads inside"),
            pytest.param(["93.184.215.14", "127.0.0.1"], id="S3 mixed, private last"),
            pytest.param(["10.0.0.1", "93.184.215.14"], id="S3 mixed, private first"),
            pytest.param(["::ffff:10.0.0.1"], id="S3 mapped"),
            pytest.param(["64:ff9b::a00:1"], id="S3 NAT64"),
        ],
    )
    async def test_is_refused_if_one_address_is_private(self, addresses: list[str]) -> None:
        async with httpx2.AsyncClient(transport=Names(addresses).transport(), trust_env=False) as client:
            with pytest.raises(UrlForbidden) as refused:
                await client.get("http://rebind.example.com/")

        assert not any(address in str(refused.value) for address in addresses), (
            "the answer must not map the network inside"
        )

    async def test_connects_to_the_address_that_was_checked(self, httpserver: HTTPServer) -> None:
        """S3: the second answer leads elsewhere, and is never asked for."""
        httpserver.expect_request("/").respond_with_data("ok")
        names = Names(["127.0.0.1"], ["127.0.0.99"])
        port = httpserver.port

        async with httpx2.AsyncClient(
            transport=names.transport(f"rebind.example.com:{port}"), trust_env=False
        ) as client:
            answer = await client.get(f"http://rebind.example.com:{port}/")

        assert (answer.text, names.asked) == ("ok", 1)

    async def test_is_checked_again_for_the_next_connection(self) -> None:
        """S3: an answer that was good once is not good for ever."""

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        allowed = [AllowedHosts.parse(["rebind.example.com"]), AllowedHosts()]
        names = Names(["127.0.0.1"], ["127.0.0.1"])
        transport = GuardedTransport(allowed=lambda: allowed[0], max_bytes=1_000, resolve=names.resolve)
        async with raw_server(answer) as port, httpx2.AsyncClient(transport=transport, trust_env=False) as client:
            await client.get(f"http://rebind.example.com:{port}/")
            allowed.pop(0)

            with pytest.raises(UrlForbidden):
                await client.get(f"http://rebind.example.com:{port}/")


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize(
        "target",
        [
            pytest.param("http://127.0.0.1:1/", id="S4 private"),
            pytest.param("//169.254.169.254/", id="S4 private, scheme left out"),
            pytest.param("file:///etc/passwd", id="S4 file"),
            pytest.param("gopher://127.0.0.1/", id="S4 gopher"),
            pytest.param("http://2130706433/", id="S4 private, one number"),
            pytest.param("http://[::ffff:127.0.0.1]/", id="S4 private, mapped"),
            pytest.param("http://metadata.google.internal/", id="S4 metadata name"),
            pytest.param("data:text/plain,x", id="S4 data"),
        ],
    )
    async def test_are_checked_like_the_first_address(
        self, status: int, target: str, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        allow_only(monkeypatch, host_of(httpserver))
        httpserver.expect_request("/").respond_with_data(status=status, headers={"Location": target})

        with pytest.raises(UrlForbidden):
            await http.request("GET", address_of(httpserver) + "/")

    @pytest.mark.parametrize(
        "target", ["http://[bad", "http://example.com:99999/", "http://a\0b/", "http://u:p@example.com/"]
    )
    async def test_to_what_is_no_address_are_refused(self, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())

        allow_only(monkeypatch, "127.0.0.1")

        async with raw_server(answer) as port:
            with pytest.raises((UrlForbidden, HttpBadAnswer)):
                await http.request("GET", f"http://127.0.0.1:{port}/")

    @pytest.mark.parametrize(("hops", "is_followed"), [(5, True), (6, False), (20, False)])
    async def test_are_followed_five_times(
        self, hops: int, is_followed: bool, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        allow_only(monkeypatch, host_of(httpserver))
        for hop in range(hops):
            httpserver.expect_request(f"/{hop}").respond_with_data(status=302, headers={"Location": f"/{hop + 1}"})
        httpserver.expect_request(f"/{hops}").respond_with_data("ok")

        try:
            text = (await http.request("GET", address_of(httpserver) + "/0")).text
        except HttpBadAnswer:
            text = ""

        assert text == ("ok" if is_followed else "")

    @pytest.mark.parametrize("status", [302, 307])
    async def test_carry_no_key_to_another_origin(
        self, status: int, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """S4: the same machine on another port is another origin."""
        seen: list[set[str]] = []

        def answer(request: Request) -> Response:
            seen.append({name.lower() for name in request.headers.keys()})  # noqa: SIM118 - werkzeug gives pairs
            return Response("ok")

        with HTTPServer(host="127.0.0.1") as other:
            allow_only(monkeypatch, host_of(httpserver), host_of(other))
            other.expect_request("/b").respond_with_handler(answer)
            location = {"Location": address_of(other) + "/b"}
            httpserver.expect_request("/a").respond_with_data(status=status, headers=location)
            keys = {
                "Authorization": "Bearer x",
                "Cookie": "a=b",
                "X-Api-Key": "x",
                "Idempotency-Key": "x",
                "Accept": "a/b",
            }

            await http.request("POST", address_of(httpserver) + "/a", headers=keys, body={"a": 1})

        assert "accept" in seen[0]
        assert not seen[0] & {"authorization", "cookie", "x-api-key", "idempotency-key"}


HEAD = b"HTTP/1.1 200 OK\r\n"


async def huge(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """S7: ten gigabytes, said beforehand."""
    writer.write(HEAD + b"Content-Length: 10000000000\r\n\r\n" + b"x" * 1_000)


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """S7: as many bytes as anyone reads."""
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        await writer.drain()


async def bomb(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """S7: a thousand bytes for each one sent."""
    packed = gzip.compress(b"\0" * 50_000_000)
    writer.write(HEAD + f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed)


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """S7: a byte now and then, so that no single read is ever late."""
    writer.write(HEAD + b"Content-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless_headers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """S7: headers without an end."""
    writer.write(HEAD)
    while True:
        writer.write(b"X-More: " + b"x" * 1_000 + b"\r\n")
        await writer.drain()


async def packed_twice(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """S7: packed in a way that was not asked for."""
    packed = gzip.compress(gzip.compress(b"\0" * 1_000_000))
    writer.write(HEAD + f"Content-Encoding: gzip, gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed)


async def deflate_bomb(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """S7: the same, packed in the other way."""
    packed = zlib.compress(b"\0" * 50_000_000)
    writer.write(HEAD + f"Content-Encoding: deflate\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed)


async def drip_headers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """S7: a header now and then."""
    writer.write(HEAD)
    while True:
        writer.write(b"X-More: x\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """S7: takes the question, and says nothing."""
    await reader.read()


async def huge_redirect(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """S7: leads on, with ten gigabytes beside it."""
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 10000000000\r\n\r\n" + b"x" * 1_000)


class TestAnswers:
    @pytest.mark.parametrize(
        ("respond", "expected"),
        [
            (huge, HttpTooLarge),
            (endless, HttpTooLarge),
            (bomb, HttpTooLarge),
            (drip, HttpTimeout),
            (endless_headers, HttpBadAnswer),
            (packed_twice, HttpBadAnswer),
            (drip_headers, HttpTimeout),
            (silent, HttpTimeout),
            (deflate_bomb, HttpTooLarge),
            (huge_redirect, HttpTooLarge),
        ],
    )
    async def test_are_cut(self, respond, expected: type[AppError], monkeypatch: pytest.MonkeyPatch) -> None:
        allow_only(monkeypatch, "127.0.0.1")
        began = monotonic()

        async with raw_server(respond) as port:
            with pytest.raises(expected):
                await http.request(
                    "GET", f"http://127.0.0.1:{port}/", limits=http.Limits(timeout_s=1.0, max_bytes=1_000_000)
                )

        assert monotonic() - began < 20  # they would go on for much longer

    @pytest.mark.parametrize("respond", [huge, endless, bomb])
    async def test_are_cut_for_a_library_too(self, respond, monkeypatch: pytest.MonkeyPatch) -> None:
        allow_only(monkeypatch, "127.0.0.1")

        async with raw_server(respond) as port:
            with pytest.raises(HttpTooLarge):
                await http.client().get(f"http://127.0.0.1:{port}/")

    async def test_free_their_connection_when_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        allow_only(monkeypatch, "127.0.0.1")

        async with raw_server(endless) as port:
            for _ in range(20):
                with pytest.raises(HttpTooLarge):
                    await http.request("GET", f"http://127.0.0.1:{port}/", limits=http.Limits(max_bytes=1_000))

        assert http.transport()._pool.connections == []
