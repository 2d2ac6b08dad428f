"""Give the content of a file to whoever asks, such that a browser keeps it and shows it to nobody as a page of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from files.models import CHUNK_BYTES, File
from files.naming import UNKNOWN_TYPE
from files.storing import read_chunk


def download(file: File, *, is_asked_for: bool = True) -> HttpResponseBase:
    """Return the answer with a file's content, read piece by piece; or, if that is not asked for, what else it says."""
    answer: HttpResponseBase
    if is_asked_for:
        answer = StreamingHttpResponse(_pieces(file), content_type=UNKNOWN_TYPE)
    else:
        answer = HttpResponse(content_type=UNKNOWN_TYPE)
    answer["Content-Length"] = str(file.size)
    # An attachment, of no type that a browser would run, whatever somebody has said that it is.
    answer["Content-Disposition"] = content_disposition_header(True, file.name)
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cache-Control"] = "private, no-transform"
    answer["ETag"] = f'"{file.sha256}"'
    return answer


async def _pieces(file: File) -> AsyncIterator[bytes]:
    # Each piece on the thread of the request, whose connection is given back: a slow reader holds none.
    for number in range(-(-file.size // CHUNK_BYTES)):
        yield await sync_to_async(_piece)(file, number)


def _piece(file: File, number: int) -> bytes:
    try:
        return read_chunk(file, number)
    finally:
        if not connection.in_atomic_block:
            connection.close()
