"""Take a file from a form: counted while it is read, and put aside on disk, so that no transaction waits for whoever sends."""

from __future__ import annotations

from typing import IO, Any, cast

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.utils.http import parse_header_parameters
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request

from files.errors import FileInvalid, FileTooLarge

#: So much may follow the end of a form, which nobody reads.
MOST_AFTER_THE_END = 4096


class CountedUpload(TemporaryFileUploadHandler):
    """Puts one file aside, and stops reading where it is too large."""

    def __init__(self, request: Any = None) -> None:
        super().__init__(request)
        self._got = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Put a piece aside.

        Raises:
            FileTooLarge: all pieces together are too large.
        """
        self._got += len(raw_data)
        if self._got > settings.AGENTPLATFORM_MAX_FILE_BYTES:
            self.upload_interrupted()
            raise FileTooLarge(f"It has more than {settings.AGENTPLATFORM_MAX_FILE_BYTES:,} bytes.", path="file")
        super().receive_data_chunk(raw_data, start)


class _Noted:
    """A stream that remembers how it ended."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.end = b""

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        piece: bytes = self._stream.read(size)
        self.end = (self.end + piece[-MOST_AFTER_THE_END:])[-MOST_AFTER_THE_END:]
        return piece


class FormParser(MultiPartParser):
    """Reads a form with files in it."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the fields and the files of a form.

        Raises:
            FileTooLarge: what is in it is too large.
            FileInvalid: it ends before its end.
        """
        request: Request = (parser_context or {})["request"]
        request.upload_handlers = [CountedUpload(request._request)]
        noted = _Noted(stream)
        form = super().parse(cast(IO[bytes], noted), media_type, parser_context)
        # Without it, some field may have been lost, such as when the file is to go.
        boundary = parse_header_parameters(request.META.get("CONTENT_TYPE", ""))[1].get("boundary", "")
        if f"--{boundary}--".encode() not in noted.end:
            raise FileInvalid("The form has not come whole: its end is missing.", path="file")
        return form
