"""The client that awaits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx2

from agentplatform_client import asking, executions
from agentplatform_client.calls import Call, Read
from agentplatform_client.client import POLL_S
from agentplatform_client.errors import TimedOut
from agentplatform_client.following import Following, Tokens
from agentplatform_client.settings import Settings
from agentplatform_client.types import ExecutionDetail, LiveEvent

T = TypeVar("T")


class AsyncClient:
    """Asks a platform: `await client.do(executions.start(graph=…))`. To be closed, or used in an `async with` block."""

    def __init__(
        self, url: str | None = None, api_key: str | None = None, *, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self.settings = Settings.of(url, api_key)
        self._http = httpx2.AsyncClient(
            base_url=self.settings.url,
            headers=asking.headers_of(self.settings),
            timeout=asking.TIMEOUT_S,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def do(self, call: Call[T]) -> T:
        """Ask, and return the answer. What fails for a moment is asked again, where that can not do anything twice.

        Raises:
            ApiError: the platform said no; `NotFound`, `Refused` and `EditedMeanwhile` are such.
            Unreachable: no answer came.
        """
        return asking.answer_of(call, await self._send(call))

    async def read(self, call: Call[T]) -> Read[T]:
        """Do the same, and return the tag of what was read too: for an edit that is to be carried out `only_if` it is still so.

        Raises:
            ApiError, Unreachable: as `do`.
        """
        response = await self._send(call)
        return Read(asking.answer_of(call, response), response.headers.get("ETag", ""))

    async def each(self, call: Call[Any]) -> AsyncIterator[Any]:
        """Yield the entries of a list, page by page."""
        page = await self.do(call)
        while True:
            for entry in page["results"]:
                yield entry
            if not (following := asking.next_of(page)):
                return
            page = await self.do(Call("GET", following))

    async def follow(self, execution: str | UUID, *, after: int = 0) -> AsyncIterator[LiveEvent | Tokens]:
        """Yield what an execution does, as it does it, until it has ended. A stream that breaks off is taken up again where it was.

        Raises:
            ApiError: the platform said no.
            Unreachable: it was away for too long.
        """
        following = Following(execution, after)
        while not following.is_over:
            broke_off: Exception | None = None
            try:
                async with self._http.stream(
                    "GET", following.path, headers=following.headers, timeout=asking.SILENCE_S
                ) as response:
                    if response.status_code == httpx2.codes.NO_CONTENT:
                        return
                    if not response.is_success:
                        await response.aread()
                        raise asking.failure_of(response)
                    async for piece in response.aiter_bytes():
                        for event in following.hear(piece):
                            yield event
            except httpx2.TransportError as error:
                broke_off = asking.unreachable(self.settings, error)
            except Exception as error:
                if not asking.is_gone(error):
                    raise
                broke_off = error
            if not following.is_over:
                await asyncio.sleep(following.pause_after(broke_off))

    async def wait(self, execution: str | UUID, *, timeout_s: float | None = None) -> ExecutionDetail:
        """Return an execution once it has ended, however it did.

        Raises:
            TimedOut: it has not ended in time; it goes on.
        """
        ends_at = None if timeout_s is None else time.monotonic() + timeout_s
        after = 0
        while True:
            left_s = POLL_S if ends_at is None else max(0, min(POLL_S, int(ends_at - time.monotonic() + 1)))
            page = await self.do(executions.events(execution, after=after, wait_s=left_s))
            after = page["last_id"]
            if page["is_over"]:
                return await self.do(executions.get(execution))
            if ends_at is not None and time.monotonic() >= ends_at and not page["events"]:
                raise TimedOut(f"Execution {execution} has not ended after {timeout_s:g} s; it goes on.")

    async def run(self, start: Call[ExecutionDetail], *, timeout_s: float | None = None) -> ExecutionDetail:
        """Start an execution and return it once it has ended, however it did.

        Raises:
            TimedOut: it has not ended in time; it goes on.
        """
        return await self.wait((await self.do(start))["id"], timeout_s=timeout_s)

    async def _send(self, call: Call[Any]) -> httpx2.Response:
        attempt = 0
        while True:
            try:
                came: httpx2.Response | httpx2.TransportError = await self._http.request(
                    call.method, call.path, **asking.arguments_of(call)
                )
            except httpx2.TransportError as error:
                came = error
            pause_s = asking.pause_after(call, attempt, came)
            if pause_s is None:
                if isinstance(came, httpx2.TransportError):
                    raise asking.unreachable(self.settings, came) from came
                return came
            await asyncio.sleep(pause_s)
            attempt += 1
