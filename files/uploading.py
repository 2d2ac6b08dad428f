"""Take a file from a form: counted while it is read, and put aside on disk, so that no transaction waits for whoever sends."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request

from files.errors import FileTooLarge


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


class FormParser(MultiPartParser):
    """Reads a form with files in it."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the fields and the files of a form.

        Raises:
            FileTooLarge: what is in it is too large.
        """
        request: Request = (parser_context or {})["request"]
        request.upload_handlers = [CountedUpload(request._request)]
        return super().parse(stream, media_type, parser_context)
