"""The API of files: upload, look at, download and delete your own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, ClassVar, cast
from uuid import UUID

import django_filters
from django.core.files.uploadedfile import UploadedFile
from django.db import connection
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from agentplatform.lib import once
from agentplatform.lib.etags import Removable
from files import storing
from files.errors import FileInvalid
from files.models import File, FileKey, FileQuerySet
from files.naming import UNKNOWN_TYPE
from files.serializers import AskFileSerializer, FileSerializer, RemoveFileSerializer
from files.serving import download
from files.uploading import FormParser

#: So many are stored at once by one process: each has a connection, and those of one owner wait for each other.
AT_ONCE = 4
STORING = BoundedSemaphore(AT_ONCE)


class FileFilter(django_filters.FilterSet):
    """Find files by what they are called, what is in them, and what wrote them."""

    name = django_filters.CharFilter(help_text="In full.")
    sha256 = django_filters.CharFilter(help_text="Of the content, in hexadecimal.")
    execution = django_filters.UUIDFilter(field_name="execution_id", help_text="The one that wrote them.")

    used_by = django_filters.UUIDFilter(
        method="use_by", help_text="An execution that was given them, or has read or written them."
    )

    class Meta:
        model = File
        fields: list[str] = []

    def use_by(self, files: FileQuerySet, name: str, execution_id: UUID) -> FileQuerySet:
        """Leave out what an execution does not use."""
        return files.used_by(execution_id)


@extend_schema(tags=["files"])
class FileViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Removable):
    """Your files: uploaded, or written by your executions."""

    scopes: ClassVar = {"read": "files:read", "write": "files:write"}
    serializer_class = FileSerializer
    filterset_class = FileFilter
    parser_classes = [FormParser]
    queryset = File.objects.none()

    def get_queryset(self) -> FileQuerySet:
        return File.objects.owned_by(self.request.user).order_by("-id")  # another's id is a 404

    @extend_schema(
        parameters=[once.parameter("file")],
        request={"multipart/form-data": AskFileSerializer},
        responses={201: FileSerializer},
    )
    def create(self, request: Request) -> Response:
        """Upload a file, as the field `file` of a form."""
        ask = AskFileSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        if len(request.FILES) != 1 or len(request.FILES.getlist("file")) != 1:
            raise FileInvalid("A form brings one file.", path="file")
        if cast(Any, request.data).get("expires_at") == "":
            raise FileInvalid("It says nothing: leave it out, or give it a moment.", path="expires_at")
        upload, owner_id = ask.validated_data["file"], cast(int, request.user.pk)
        ends_at = ask.validated_data.get("expires_at")
        asked = {"name": upload.name, "content_type": upload.content_type or "", "expires_at": ends_at}

        def store(file_id: UUID | None = None) -> File:
            return storing.store(upload.chunks(), owner_id=owner_id, file_id=file_id, **asked)

        was_there = False
        if (key := request.headers.get(once.HEADER)) is not None:
            once.check_key(key)
            digest = once.digest_of("upload", asked | {"sha256": _sha256_of(upload)})
            with _turn():
                file, was_there = once.once(FileKey, key, digest, owner_id=owner_id, find=self._find, make=store)
        else:
            with _turn():
                file = store()
        headers = once.REPLAYED if was_there else {}
        return Response(FileSerializer(file).data, status=status.HTTP_201_CREATED, headers=headers)

    def _find(self, file_id: UUID) -> File | None:
        return self.get_queryset().filter(pk=file_id).first()

    @extend_schema(parameters=[RemoveFileSerializer])
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Remove it. One that an execution uses which has not ended is removed by force only."""
        return super().destroy(request, *args, **kwargs)

    def perform_destroy(self, instance: Any) -> None:
        asked = RemoveFileSerializer(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        storing.delete(instance, force=asked.validated_data["force"])

    @extend_schema(
        parameters=[OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="One part: `bytes=0-1023`.")],
        responses={
            (200, UNKNOWN_TYPE): OpenApiResponse(OpenApiTypes.BINARY, "Its content."),
            (206, UNKNOWN_TYPE): OpenApiResponse(OpenApiTypes.BINARY, "The part that is asked for."),
        },
    )
    @action(detail=True, filter_backends=[], pagination_class=None)
    def content(self, request: Request, pk: str | None = None) -> HttpResponseBase:
        """Download it, or one part of it (`Range`). Its `ETag` is its SHA-256."""
        file = self.get_object()
        if f'"{file.sha256}"' in request.headers.get("If-None-Match", ""):
            return HttpResponse(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": f'"{file.sha256}"'})
        return download(file, method=request.method, headers=request.headers)


@contextmanager
def _turn() -> Iterator[None]:
    """Wait for a turn to store a file, without a connection."""
    if not connection.in_atomic_block:
        connection.close()
    with STORING:
        yield


def _sha256_of(upload: UploadedFile) -> str:
    digest = hashlib.sha256()
    for piece in upload.chunks():
        digest.update(piece)
    return digest.hexdigest()


router = SimpleRouter()
router.register("files", FileViewSet, basename="file")
