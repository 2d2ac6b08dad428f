"""What can be asked of files: keep one, look at it, get it back."""

from __future__ import annotations

from datetime import datetime
from typing import IO
from uuid import UUID, uuid4

from agentplatform_client.calls import Call, at, given
from agentplatform_client.types import File, PaginatedFileList

Id = str | UUID
UNKNOWN_TYPE = "application/octet-stream"


def find(
    *, name: str | None = None, sha256: str | None = None, execution: Id | None = None, used_by: Id | None = None
) -> Call[PaginatedFileList]:
    """Find files, newest first: by name in full, by content, by the execution that wrote them, or that uses them."""
    ids = given(execution=execution and str(execution), used_by=used_by and str(used_by))
    return Call("GET", at("files"), params=given(name=name, sha256=sha256) | ids)


def get(file: Id) -> Call[File]:
    """Look at one."""
    return Call("GET", at("files", file))


def upload(
    name: str,
    content: bytes | IO[bytes],
    *,
    content_type: str = UNKNOWN_TYPE,
    expires_at: datetime | None = None,
    idempotency_key: str | None = None,
) -> Call[File]:
    """Keep a file. `{"file_id": answer["id"]}` refers to it in the inputs of an execution. Sent again, this call keeps nothing more."""
    fields = {"expires_at": expires_at.isoformat()} if expires_at else {}
    headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
    return Call("POST", at("files"), headers=headers, form=fields, upload=(name, content, content_type))


def content(file: Id) -> Call[bytes]:
    """Get what is in one."""
    return Call("GET", at("files", file, "content"), is_bytes=True)


def delete(file: Id, *, force: bool = False) -> Call[None]:
    """Remove one, at once and for good; by force also if an execution uses it that has not ended."""
    return Call("DELETE", at("files", file), params={"force": "true"} if force else {})
