"""Files: what is told of each, and its content in chunks, so that nobody holds a whole one in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Q

from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from agentplatform.lib.once import OnceKey

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

#: Of one chunk: 1 MiB.
CHUNK_BYTES = 1024 * 1024
LONGEST_NAME, LONGEST_TYPE = 255, 100


class FileQuerySet(models.QuerySet["File"]):
    """Files, and the ways to ask for somebody's."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> FileQuerySet:
        """Return the files of `user`; nobody who is not logged in has any."""
        return self.of(user.pk) if user.pk is not None else self.none()

    def of(self, owner_id: int) -> FileQuerySet:
        """Return what an owner still has: an expired file is gone at once, whenever it is cleaned away."""
        return self.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now()), owner_id=owner_id)

    def used_by(self, execution_id: UUID) -> FileQuerySet:
        """Return what an execution was given, or has read or written."""
        return self.filter(pk__in=FileUse.objects.filter(execution_id=execution_id).values("file_id"))


class File(models.Model):
    """A file of an owner: uploaded, or written by an execution. Its name and type are what somebody has said, and only ever shown."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="files", db_index=False)
    name = models.CharField(max_length=LONGEST_NAME)
    content_type = models.CharField(max_length=LONGEST_TYPE)
    size = models.BigIntegerField()
    #: Of its content, in hexadecimal.
    sha256 = models.CharField(max_length=64)
    #: The execution that wrote it. No constraint, as months of executions are dropped.
    execution_id = models.UUIDField(null=True, blank=True, editable=False)
    #: Which firing wrote it, as which of its files: a firing that is repeated writes the same ones.
    key = models.CharField(max_length=300, blank=True, default="", editable=False)
    #: Of the claim under which it was written, and the attempt: whoever has lost the firing, or was given up, overwrites nothing.
    fence = models.BigIntegerField(default=0, editable=False)
    attempt = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    #: False: the firing that wrote it has not succeeded yet. If it never does, the file is removed after the end of its execution.
    is_kept = models.BooleanField(default=True, db_default=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    #: From then on it is gone; None keeps it.
    expires_at = models.DateTimeField(null=True, blank=True)

    objects = FileQuerySet.as_manager()

    class Meta:
        db_table = "files_file"
        indexes = [
            models.Index(fields=["owner", "-id"], name="files_newest_of_owner"),
            models.Index(fields=["expires_at"], condition=Q(expires_at__isnull=False), name="files_that_expire"),
            models.Index(
                fields=["execution_id"], condition=Q(execution_id__isnull=False), name="files_of_an_execution"
            ),
            models.Index(fields=["id"], condition=Q(is_kept=False), name="files_not_kept_yet"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["owner", "key"], condition=~Q(key=""), name="a_firing_writes_a_file_once"),
            models.CheckConstraint(condition=Q(size__gte=0), name="a_file_has_a_size"),
        ]

    def __str__(self) -> str:
        return self.name


class FileChunk(models.Model):
    """A piece of a file's content. All but the last have `CHUNK_BYTES`."""

    id = models.BigAutoField(primary_key=True)
    file = models.ForeignKey(File, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        db_table = "files_chunk"
        constraints = [models.UniqueConstraint(fields=["file", "number"], name="a_chunk_has_its_place")]

    def __str__(self) -> str:
        return f"{self.file_id}/{self.number}"


class FileKey(OnceKey):
    """One key of one owner, what was uploaded with it, and the file that came of it."""

    made: ClassVar = "file_id"
    #: No constraint: the file may be deleted before the key is over.
    file_id = models.UUIDField()

    class Meta:
        db_table = "files_filekey"
        constraints = [
            models.UniqueConstraint(fields=["owner", "key"], name="a_key_uploads_one_file"),
            models.UniqueConstraint(fields=["file_id"], name="a_file_has_one_key"),
        ]
        indexes = [models.Index(fields=["created_at"], name="file_keys_by_time")]


class FileUse(models.Model):
    """That an execution uses a file: it was given it, or has read or written it. Outlives the file, but not the execution."""

    id = models.BigAutoField(primary_key=True)
    file_id = models.UUIDField()
    execution_id = models.UUIDField()

    class Meta:
        db_table = "files_fileuse"
        constraints = [
            models.UniqueConstraint(fields=["file_id", "execution_id"], name="an_execution_uses_a_file_once"),
        ]
        indexes = [models.Index(fields=["execution_id"], name="uses_of_an_execution")]

    def __str__(self) -> str:
        return f"{self.file_id} {self.execution_id}"
