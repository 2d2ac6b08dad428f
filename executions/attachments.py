"""The files that a firing reads and writes: its owner's, whoever names them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from django.conf import settings

from agentplatform.lib.clock import now
from agentplatform.lib.masking import Mask
from blocks.sdk import BlockError, FileContent, FileRef
from blocks.sdk.files import NewFile
from executions import failpoints
from executions.begun import Begun
from files import storing, uses
from files.errors import FileGone
from files.models import CHUNK_BYTES, File


def read(begun: Begun, file_id: UUID, *, max_bytes: int | None) -> FileContent:
    """Return what is in a file of the execution's owner.

    Raises:
        FileGone: it is not there any more, or is somebody else's.
        BlockError: it is larger than is asked for.
    """
    file = File.objects.of(begun.family.owner_id).filter(pk=file_id).first()
    if file is None:
        raise FileGone(f"The file {file_id} is not there.")
    uses.note(begun.execution_id, [file_id])
    most = settings.AGENTPLATFORM_MAX_OUTPUT_BYTES if max_bytes is None else max_bytes
    if file.size > most:
        raise BlockError(
            f"The file {file.name!r} has {file.size:,} bytes; {most:,} are read at most.",
            code="FILE_TOO_LARGE",
            hint="Take a smaller file, or a block that reads more.",
        )
    return FileContent(file.name, file.content_type, b"".join(storing.read(file)))


def write(begun: Begun, new: NewFile, *, number: int, mask: Mask) -> FileRef:
    """Keep a file of the execution's owner, without secrets. A firing that is repeated writes it anew in its place.

    Raises:
        FileTooLarge, FileQuotaExceeded: as `files.storing.store`.
    """
    content = _masked(new.content, mask)
    file = storing.store(
        _pieces(content),
        owner_id=begun.family.owner_id,
        name=mask.text(new.name),
        content_type=mask.text(new.content_type),
        expires_at=now() + timedelta(seconds=new.expires_in_s) if new.expires_in_s else None,
        writer=storing.Writer(
            begun.execution_id,
            key=_key(begun.idempotency_key, mask.text(new.key) if new.key else str(number)),
            fence=begun.claim.fence if begun.claim else 0,
            attempt=begun.course.attempt,
        ),
    )
    failpoints.reach("after_file")
    return FileRef(file_id=file.pk, name=file.name, content_type=file.content_type, size=file.size)


def _masked(content: bytes, mask: Mask) -> bytes:
    """Return content without secrets: of a text in all their usual forms, of anything else where they stand as they are."""
    for encoding in ("utf-8", "latin-1"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        masked = mask.text(text)
        return content if masked == text else masked.encode(encoding)
    return content


def _pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), CHUNK_BYTES):
        yield content[start : start + CHUNK_BYTES]


def _key(firing: str, which: str) -> str:
    # Of one length, however deep the path of the item is.
    return hashlib.sha256(f"{firing}\n{which}".encode()).hexdigest()
