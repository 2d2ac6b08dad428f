"""What a failed request says of whether it may be sent again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from agentplatform.lib.errors import AppError
from agentplatform.lib.retry_after import retry_after_of
from blocks.http.call_service import CallServiceBlock
from blocks.http.send_request import SendRequestBlock
from blocks.sdk import BlockError
from blocks.sdk.testing import KnownCredentials, MemoryContext, run_block
from tests.outside import address_of, allow_only, host_of, raw_server

READS, WRITES = ["GET", "HEAD", "PUT", "DELETE"], ["POST", "PATCH"]
IS_RETRIED = frozenset(SendRequestBlock.retry.on)


@pytest.fixture
def server(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> HTTPServer:
    """A server that may be asked."""
    allow_only(monkeypatch, host_of(httpserver))
    return httpserver


async def failure_of(**given: Any) -> AppError:
    with pytest.raises(AppError) as failed:
        await run_block(SendRequestBlock, given)
    return failed.value


@pytest.mark.parametrize("method", READS + WRITES)
@pytest.mark.parametrize(("status", "code"), [(429, "RATE_LIMITED"), (503, "PROVIDER_ERROR")])
async def test_who_is_turned_away_may_come_again(server: HTTPServer, method: str, status: int, code: str) -> None:
    server.expect_request("/x").respond_with_data("No.", status=status, headers={"Retry-After": "7"})

    failure = await failure_of(url=f"{address_of(server)}/x", method=method)

    assert isinstance(failure, BlockError)
    assert (failure.code, failure.retry_after_s) == (code, 7.0)
    assert code in IS_RETRIED


@pytest.mark.parametrize("status", [408, 500, 502, 504])
async def test_after_trouble_only_what_is_repeatable_may_be_sent_again(server: HTTPServer, status: int) -> None:
    server.expect_request("/x").respond_with_data("No.", status=status)

    codes = {method: (await failure_of(url=f"{address_of(server)}/x", method=method)).code for method in READS + WRITES}

    assert codes == dict.fromkeys(READS, "PROVIDER_ERROR") | dict.fromkeys(WRITES, "HTTP_STATUS")


@pytest.mark.parametrize("status", [301, 400, 401, 404, 409, 501])
async def test_what_was_refused_is_not_sent_again(server: HTTPServer, status: int) -> None:
    server.expect_request("/x").respond_with_data("No.", status=status)

    failure = await failure_of(url=f"{address_of(server)}/x")

    assert failure.code == "HTTP_STATUS"
    assert failure.code not in IS_RETRIED


async def test_a_broken_answer_leaves_open_what_a_post_has_done(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang_up(reader: Any, writer: Any) -> None:
        """Close without a word."""

    async with raw_server(hang_up) as port:
        allow_only(monkeypatch, f"127.0.0.1:{port}")
        codes = [(await failure_of(url=f"http://127.0.0.1:{port}/", method=method)).code for method in ["GET", "POST"]]

    assert codes[0] in IS_RETRIED
    assert codes[1] == "HTTP_UNCERTAIN"
    assert codes[1] not in IS_RETRIED


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 0.0), (" 120 ", 120.0), ("", None), ("soon", None), ("-5", None), ("1.5", None), ("٣", None)],
)
def test_reads_how_long_to_stay_away(header: str, seconds: float | None) -> None:
    assert retry_after_of({"retry-after": header}) == seconds


def test_reads_a_date_as_how_long_that_is_from_now() -> None:
    soon, past = (datetime.now(tz=UTC) + timedelta(seconds=seconds) for seconds in (90, -90))

    assert 80 < (retry_after_of({"retry-after": format_datetime(soon, usegmt=True)}) or 0) <= 90
    assert retry_after_of({"retry-after": format_datetime(past, usegmt=True)}) == 0
    assert retry_after_of({}) is None


async def test_a_header_that_the_credential_sends_is_not_sent_twice(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.getlist("Authorization"))
        return Response("ok")

    allow_only(monkeypatch, host_of(httpserver))
    httpserver.expect_request("/").respond_with_handler(answer)
    context = MemoryContext(credentials={"http": KnownCredentials("mine", base_url=address_of(httpserver))})
    given = {"url": address_of(httpserver) + "/", "headers": {"authorization": "Bearer other"}}

    await run_block(CallServiceBlock, given, context=context)

    assert seen == [["Bearer mine"]]
