"""How the web serves a request: with a limit before it is read, then on one thread from the first middleware to the view."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from os import SEEK_END
from typing import IO, Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from agentplatform.lib.errors import AppError
from executions.errors import PayloadTooLarge, TooManyDeliveries
from files.errors import FileTooLarge

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

WEBHOOKS, FILES = "/webhooks/", "/api/v1/files/"
#: What a form needs beside the file in it.
FORM_BYTES = 64 * 1024
#: So long a request waits for a connection before it is told to come again.
POOL_WAIT_S = 3.0
#: So long the pool itself tries to connect in vain; after that, the next request does.
RETRY_S = 1.0
#: Seconds, for the header Retry-After.
BUSY_S = 1


def share_connections() -> None:
    """Let the threads of this process share connections to the database: a new one for each request would cost more than most requests.

    To be called before the first is opened. Commands, workers and beat have few threads, which keep theirs.
    """
    database, most = settings.DATABASES["default"], settings.AGENTPLATFORM_DB_POOL
    if most and database["CONN_MAX_AGE"] == 0:
        database["OPTIONS"]["pool"] = {
            "min_size": 1,
            "max_size": most,
            "timeout": POOL_WAIT_S,
            "reconnect_timeout": RETRY_S,
        }


#: A request that has not come whole after so long is waited for no longer.
WHOLE_WITHIN_S = 60.0
#: A file over a slow line.
FILE_WITHIN_S = 900.0
#: Of what is too large, so much is read and dropped at most, and for so long.
MOST_DISCARDED, DISCARD_S = 128 * 1024 * 1024, 10.0


class RequestTooLarge(AppError):
    """The request is larger than this installation takes."""

    code = "REQUEST_TOO_LARGE"
    status = 413
    hint = "Send less at once; the operator sets the limit with AGENTPLATFORM_MAX_OUTPUT_BYTES."


class RequestTooSlow(AppError):
    """The request did not come whole in time."""

    code = "REQUEST_TOO_SLOW"
    status = 408
    hint = "Send it again, at once or in smaller parts."


class Web(ASGIHandler):
    """Django's own handler, but for four things.

    What is too large is refused before it is stored anywhere; what does not come whole is not waited for. Deliveries to webhooks are
    refused while others are being taken, as each holds a thread and a connection, and whoever sends it can wait as well; who sends slowly
    holds neither. What comes in pieces has a length like all else: Django REST framework reads nothing of what has none. And middleware
    and view run on the thread of the request, one after the other: asked one by one from the event loop, each would wait for its turn
    twice.
    """

    def __init__(self) -> None:
        super().__init__()
        #: How many are being taken; counted on the event loop alone.
        self._deliveries = 0

    def load_middleware(self, is_async: bool = False) -> None:
        """Build the chain for a thread."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """Run the chain on the thread of the request; an async view comes back to the event loop from there."""
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)

    def create_request(self, scope: Mapping[str, Any], body_file: IO[bytes]) -> Any:
        """Return the request, with the length of its body."""
        if b"content-length" not in dict(scope["headers"]):
            body_file.seek(0, SEEK_END)
            if length := body_file.tell():
                scope = {**scope, "headers": [*scope["headers"], (b"content-length", b"%d" % length)]}
            body_file.seek(0)
        return super().create_request(scope, body_file)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        body = _Body(receive)
        try:
            if scope["type"] == "http" and scope["path"].startswith(WEBHOOKS):
                await self._take(scope, body, send)
            elif scope["type"] == "http" and scope["path"] == FILES:
                body.allow(FILE_WITHIN_S)
                await self._serve(scope, body, send, FileTooLarge, settings.AGENTPLATFORM_MAX_FILE_BYTES + FORM_BYTES)
            elif scope["type"] == "http":
                await self._serve(scope, body, send, RequestTooLarge, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            elif scope["type"] == "websocket":
                await send({"type": "websocket.close"})  # there are none here: the server answers 403
            else:
                await super().__call__(scope, receive, send)
        except TooManyDeliveries as error:
            await _refuse(send, error, (b"retry-after", str(BUSY_S).encode()))
        except RequestTooSlow as error:
            await _refuse(send, error, (b"connection", b"close"))
        except (RequestTooLarge, PayloadTooLarge, FileTooLarge) as error:
            # Who asks before sending has sent nothing yet.
            if b"expect" not in dict(scope["headers"]):
                await body.discard()
            await _refuse(send, error, (b"connection", b"close"))

    async def _take(self, scope: dict[str, Any], body: _Body, send: Send) -> None:
        """Serve what is sent to a webhook.

        Raises:
            TooManyDeliveries: others are being taken.
            PayloadTooLarge: it is longer than one may be.
        """
        self._refuse_too_many()
        if _announced(scope) > settings.AGENTPLATFORM_MAX_WEBHOOK_BYTES:
            raise PayloadTooLarge
        # Read before it is counted: whoever sends nothing more must keep nobody else out.
        await body.read_whole(PayloadTooLarge, settings.AGENTPLATFORM_MAX_WEBHOOK_BYTES)
        self._refuse_too_many()
        self._deliveries += 1
        try:
            await super().__call__(scope, body.receive, send)
        finally:
            self._deliveries -= 1

    def _refuse_too_many(self) -> None:
        if self._deliveries >= settings.AGENTPLATFORM_WEBHOOKS_AT_ONCE:
            raise TooManyDeliveries

    async def _serve(self, scope: dict[str, Any], body: _Body, send: Send, refusal: type[AppError], most: int) -> None:
        """Serve a request whose body has so many bytes at most.

        Raises:
            AppError: of the class `refusal`: it has more.
        """

        async def receive_no_more() -> Mapping[str, Any]:
            message = await body.receive()
            if body.got > most:
                raise refusal
            return message

        if _announced(scope) > most:
            raise refusal
        await super().__call__(scope, receive_no_more, send)


class _Body:
    """What a request brings, as far as it was read."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ends_at = asyncio.get_running_loop().time() + WHOLE_WITHIN_S
        #: In bytes.
        self.got = 0
        self._is_whole = False
        #: Read before anybody asked for it.
        self._ahead: deque[Mapping[str, Any]] = deque()

    def allow(self, seconds: float) -> None:
        """Let it be whole within so long, from now on."""
        self._ends_at = asyncio.get_running_loop().time() + seconds

    async def receive(self) -> Mapping[str, Any]:
        """Return the next message of the server.

        Raises:
            RequestTooSlow: the body is not whole in time.
        """
        if self._ahead:
            return self._ahead.popleft()
        if self._is_whole:
            return await self._receive()  # what comes now is that somebody has gone
        try:
            async with asyncio.timeout_at(self._ends_at):
                message = await self._receive()
        except TimeoutError:
            raise RequestTooSlow from None
        self.got += len(message.get("body", b""))
        self._is_whole = not message.get("more_body")
        return message

    async def read_whole(self, refusal: type[AppError], most: int) -> None:
        """Read all of it.

        Raises:
            RequestTooSlow: it is not whole in time.
            AppError: of the class `refusal`: it has more than so many bytes.
        """
        content = bytearray()
        while not self._is_whole:
            message = await self.receive()
            if message["type"] != "http.request":
                self._ahead.append(message)  # somebody has gone
                return
            content += message.get("body", b"")
            if self.got > most:
                raise refusal
        self._ahead.append({"type": "http.request", "body": bytes(content)})

    async def discard(self) -> None:
        """Let somebody finish sending who would otherwise find the connection broken instead of the answer; up to a size, and a time."""
        try:
            async with asyncio.timeout(DISCARD_S):
                while not self._is_whole and self.got < MOST_DISCARDED:
                    await self.receive()
        except (TimeoutError, RequestTooSlow):
            return


def _announced(scope: dict[str, Any]) -> int:
    """Return how long the body will be, as far as the request says."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length[:20]) if length.isdigit() else 0


async def _refuse(send: Send, error: AppError, header: tuple[bytes, bytes]) -> None:
    problem = {"type": "about:blank", "title": error.message, "status": error.status, **error.as_dict()}
    body = json.dumps(problem).encode()
    length = (b"content-length", str(len(body)).encode())
    headers = [(b"content-type", b"application/problem+json"), length, header]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
