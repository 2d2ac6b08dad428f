"""Write the content of a file and its row together, or neither; and read it piece by piece.

In the database: nothing is left behind by a write that breaks off, nothing else has to be backed up, and web and workers share no disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Sum

from agentplatform.lib import prepared
from agentplatform.lib.clock import now
from agentplatform.lib.ids import uuid7
from files import uses
from files.errors import FileGone, FileInvalid, FileQuotaExceeded, FileTooLarge
from files.models import CHUNK_BYTES, File, FileChunk
from files.naming import known_type, shown_name

#: The class of the locks by which the writers of one owner wait for each other.
LOCKS = 0x46494C45
#: Of one statement, so that none holds others up; what is left, the next round removes.
AT_ONCE, ROUNDS = 20, 500
# Bound on the server, as bytes: written into the statement as text, each chunk would be twice as long.
WRITE = b"INSERT INTO files_chunk (file_id, number, content) VALUES (%s, %s, %b)"
READ = (
    b"SELECT content FROM files_chunk JOIN files_file ON files_file.id = file_id"
    b" WHERE file_id = %s AND number = %s AND sha256 = %s"
)


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes a file, and as which of its files: one attempt of a firing. The file is to be kept once that has succeeded."""

    execution_id: UUID
    key: str
    fence: int = 0
    attempt: int = 0


def store(
    pieces: Iterable[bytes],
    *,
    owner_id: int,
    name: str,
    content_type: str = "",
    expires_at: datetime | None = None,
    writer: Writer | None = None,
    file_id: UUID | None = None,
) -> File:
    """Keep a file, with this id if one is given.

    What a firing has written before as the same of its files is written anew in its place, unless that was in a later attempt.

    Raises:
        FileInvalid: it would expire before it is there.
        FileTooLarge: it has more bytes than one may have; known as soon as they are read.
        FileQuotaExceeded: its owner has more than one may have, with it, in bytes or in number.
    """
    if expires_at is not None and expires_at <= now():
        raise FileInvalid("It would have expired already.", path="expires_at")
    file = File(
        pk=file_id or uuid7(),
        owner_id=owner_id,
        name=shown_name(name),
        content_type=known_type(content_type),
        size=0,
        expires_at=expires_at,
        **(asdict(writer) if writer else {}),
        is_kept=writer is None,
    )
    with transaction.atomic():
        _wait_for_others(owner_id)
        if writer and (before := File.objects.filter(owner_id=owner_id, key=writer.key).first()):
            if (before.fence, before.attempt) > (writer.fence, writer.attempt):
                return before
            before.chunks.all().delete()
            file.pk, file.created_at = before.pk, before.created_at
            file._state.adding = False
        left = _left_for(file)
        file.save()
        if writer:
            uses.note(writer.execution_id, [file.pk])
        _write(file, pieces, left)
        file.save(update_fields=["size", "sha256"])
    return file


def read(file: File) -> Iterator[bytes]:
    """Yield the content of a file.

    Raises:
        FileGone: it is deleted meanwhile, or written anew.
    """
    for number in range(-(-file.size // CHUNK_BYTES)):
        yield read_chunk(file, number)


def read_chunk(file: File, number: int) -> bytes:
    """Return one piece of a file.

    Raises:
        FileGone: it was deleted meanwhile, or written anew.
    """
    with prepared.cursor() as cursor:
        cursor.execute(READ, [file.pk, number, file.sha256], binary=True)
        row = cursor.fetchone()
    if row is None:
        raise FileGone
    return bytes(row[0])


def delete(file: File, *, force: bool = False) -> None:
    """Remove a file and its content.

    Raises:
        FileInUse: an execution that has not ended uses it, and it is not forced.
    """
    with transaction.atomic():
        # Whoever starts with it meanwhile comes first, or finds it gone.
        list(File.objects.select_for_update().filter(pk=file.pk).values_list("pk"))
        if not force:
            uses.refuse_needed(file.pk)
        _remove([file.pk])


def prune() -> int:
    """Remove files that have expired. Return how many."""
    return remove(lambda limit: File.objects.filter(expires_at__lte=now()).values_list("pk", flat=True)[:limit])


def remove(find: Callable[[int], Iterable[UUID]]) -> int:
    """Remove all files that are found, a few at a time. Return how many."""
    removed = 0
    for _ in range(ROUNDS):
        with transaction.atomic():
            found = list(find(AT_ONCE))
            if not found:
                break
            removed += _remove(found)
    return removed


def in_chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of `CHUNK_BYTES`, but for the last; memory is taken for two."""
    pending = bytearray()
    for piece in pieces:
        pending += piece
        while len(pending) >= CHUNK_BYTES:
            yield bytes(pending[:CHUNK_BYTES])
            del pending[:CHUNK_BYTES]
    if pending:
        yield bytes(pending)


def _left_for(file: File) -> int:
    """Return how many bytes its owner may have more, beside all other files.

    Raises:
        FileQuotaExceeded: they have as many files as one may have.
    """
    theirs = File.objects.filter(owner_id=file.owner_id)
    # Nobody sees these any more, so they should be in nobody's way; counted until they are gone, they can not be used to get round it.
    _remove(list(theirs.filter(expires_at__lte=now()).values_list("pk", flat=True)[:AT_ONCE]))
    told = theirs.exclude(pk=file.pk).aggregate(size=Sum("size"), count=Count("pk"))
    if told["count"] >= settings.AGENTPLATFORM_MAX_OWNED_FILES:
        raise FileQuotaExceeded(f"You have {told['count']:,} files.", path="file")
    return settings.AGENTPLATFORM_MAX_OWNED_FILE_BYTES - int(told["size"] or 0)


def _remove(file_ids: Sequence[UUID]) -> int:
    FileChunk.objects.filter(file_id__in=file_ids).delete()
    return File.objects.filter(pk__in=file_ids).delete()[0]


def _write(file: File, pieces: Iterable[bytes], left: int) -> None:
    digest = hashlib.sha256()
    for number, chunk in enumerate(in_chunks(pieces)):
        file.size += len(chunk)
        if file.size > settings.AGENTPLATFORM_MAX_FILE_BYTES:
            raise FileTooLarge(f"It has more than {settings.AGENTPLATFORM_MAX_FILE_BYTES:,} bytes.", path="file")
        if file.size > left:
            raise FileQuotaExceeded(f"There are {max(left, 0):,} bytes left for your files.", path="file")
        digest.update(chunk)
        with prepared.cursor() as cursor:
            cursor.execute(WRITE, [file.pk, number, chunk])
    file.sha256 = digest.hexdigest()


def _wait_for_others(owner_id: int) -> None:
    """Let the files of one owner be written one after the other: so the sum of their sizes is true, and a key is written once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCKS, owner_id])
