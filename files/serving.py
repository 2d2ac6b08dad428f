"""Give the content of a file to whoever asks, such that a browser keeps it and shows it to nobody as a page of ours."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from files.errors import FileRangeInvalid
from files.models import CHUNK_BYTES, File
from files.naming import UNKNOWN_TYPE
from files.storing import read_chunk

NONE_AT_ALL: Mapping[str, str] = MappingProxyType({})
#: Several at once are answered with all of it.
ONE_PART = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def download(file: File, *, method: str | None = "GET", headers: Mapping[str, str] = NONE_AT_ALL) -> HttpResponseBase:
    """Return the answer with a file's content, or the part of it that is asked for, read piece by piece; to `HEAD`, without reading it.

    Raises:
        FileRangeInvalid: the file has no such part.
    """
    etag = f'"{file.sha256}"'
    is_still_so = headers.get("If-Range", etag) == etag
    part = _part(headers.get("Range", ""), file.size) if method == "GET" and is_still_so else None
    begin, end = part or (0, file.size)
    answer: HttpResponseBase
    if method == "HEAD":
        answer = HttpResponse(content_type=UNKNOWN_TYPE)
    else:
        answer = StreamingHttpResponse(
            _pieces(file, begin, end), content_type=UNKNOWN_TYPE, status=206 if part else 200
        )
    if part:
        answer["Content-Range"] = f"bytes {begin}-{end - 1}/{file.size}"
    answer["Content-Length"] = str(end - begin)
    answer["Accept-Ranges"] = "bytes"
    # An attachment, of no type that a browser would run, whatever somebody has said that it is.
    answer["Content-Disposition"] = content_disposition_header(True, file.name)
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cache-Control"] = "private, no-transform"
    answer["ETag"] = etag
    return answer


def _part(asked: str, size: int) -> tuple[int, int] | None:
    """Return where the one part begins and ends that is asked for; None: all of it, as for anything that is not understood.

    Raises:
        FileRangeInvalid: it lies beyond the end.
    """
    found = ONE_PART.fullmatch(asked.strip())
    if found is None or found.group() == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < begin:
            return None
    if begin >= size:
        raise FileRangeInvalid(f"It has {size:,} bytes.")
    return begin, end


async def _pieces(file: File, begin: int, end: int) -> AsyncIterator[bytes]:
    # Each piece on the thread of the request, whose connection is given back: a slow reader holds none.
    for number in range(begin // CHUNK_BYTES, -(-end // CHUNK_BYTES)):
        piece = await sync_to_async(_piece)(file, number)
        yield piece[max(0, begin - number * CHUNK_BYTES) : end - number * CHUNK_BYTES]


def _piece(file: File, number: int) -> bytes:
    try:
        return read_chunk(file, number)
    finally:
        if not connection.in_atomic_block:
            connection.close()
