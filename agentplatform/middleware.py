"""What every answer has: a name for the request, which stands in the log too, and how much more may be asked."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any
from uuid import uuid4

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.gzip import GZipMiddleware
from django.utils.decorators import sync_and_async_middleware

from agentplatform.log import REQUEST_ID

HEADER = "X-Request-ID"
#: What a proxy may have called it; anything else could be markup, or a line of its own in a log.
SANE = re.compile(r"[\w.:-]{1,100}", re.ASCII)


@sync_and_async_middleware
def name_requests(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Give each request the name that it came with, or a new one."""
    if iscoroutinefunction(get_response):

        async def answer_later(request: HttpRequest) -> HttpResponseBase:
            name = _begin(request)
            return _told(request, await _awaited(get_response(request)), name)

        return answer_later

    def answer(request: HttpRequest) -> HttpResponseBase:
        name = _begin(request)
        return _told(request, get_response(request), name)

    return answer


class SameAgain(HttpResponsePermanentRedirect):
    """Leads to another address, to be asked the same there: a POST stays a POST and keeps its body."""

    def __init__(self, address: str) -> None:
        text = "The address ends with a slash: what you sent was not looked at, send it there.\n"
        super().__init__(address, preserve_request=True, content=text, content_type="text/plain; charset=utf-8")


class SlashMiddleware(CommonMiddleware):
    """Leads whoever leaves out the slash at the end to where it is."""

    response_redirect_class = SameAgain


class GzipMiddleware(GZipMiddleware):
    """Compresses answers, but not what is told live: a piece must not wait for the next.

    Nor files, which have a length: each piece of what is streamed would be compressed for itself, and many read only the first.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the answer, smaller where that helps."""
        if response.get("Content-Type", "").startswith(("text/event-stream", "application/octet-stream")):
            return response
        return super().process_response(request, response)


def _begin(request: HttpRequest) -> str:
    asked = request.headers.get(HEADER, "")
    name = asked if SANE.fullmatch(asked) else uuid4().hex
    REQUEST_ID.set(name)
    return name


def _told(request: HttpRequest, response: HttpResponseBase, name: str) -> HttpResponseBase:
    response[HEADER] = name
    for header, value in getattr(request, "rate_headers", {}).items():
        response[header] = value
    return response


async def _awaited(answer: Awaitable[HttpResponseBase]) -> HttpResponseBase:
    return await answer
