"""The verbs of files: keep one, get it back."""

from __future__ import annotations

from argparse import Namespace
from mimetypes import guess_type
from pathlib import Path, PurePath

from agentplatform_client import files
from agentplatform_client.cli import codes
from agentplatform_client.cli.naming import id_of
from agentplatform_client.cli.nouns import Columns, Noun, as_moment, field, lines_of, moment
from agentplatform_client.cli.printing import Printer
from agentplatform_client.client import Client
from agentplatform_client.errors import UsageError

COLUMNS: Columns = {
    "NAME": field("name"),
    "TYPE": field("content_type"),
    "BYTES": lambda one: one["size"],
    "CREATED": moment("created_at"),
    "EXPIRES": moment("expires_at"),
    "ID": field("id"),
}
SHOWN = lines_of(["id", "name", "content_type", "size", "sha256", "execution", "created_at", "expires_at"])


def declare(noun: Noun) -> None:
    """Say which verbs there are."""
    noun.add_list("list", "List them, newest first.", files.find, COLUMNS)
    noun.add_act("get", "Show one.", files.get, SHOWN)
    kept = noun.add("upload", "Keep a file; prints its id.", _upload)
    kept.add_argument("path", metavar="PATH", type=Path)
    kept.add_argument("--name", metavar="NAME", help="what it is called (default: as it is here)")
    kept.add_argument("--type", metavar="TYPE", help="what it is, such as text/csv (default: by its ending)")
    kept.add_argument("--expires-at", type=as_moment, metavar="TIME", help="when it is deleted (default: never)")
    kept.add_argument("--idempotency-key", metavar="KEY", help="with the same one, the same file is kept once")
    got = noun.add("download", "Write the content of one to a file that is not there yet.", _download, takes_id=True)
    got.add_argument("path", metavar="PATH", type=Path, nargs="?", help="where to (default: its name, here)")
    removed = noun.add("delete", "Remove one, at once and for good.", _delete, takes_id=True)
    removed.add_argument("--force", action="store_true", help="also if an execution uses it that has not ended")


def _upload(client: Client, asked: Namespace, printer: Printer) -> int:
    name = asked.name or asked.path.name
    kind = asked.type or guess_type(name)[0] or files.UNKNOWN_TYPE
    try:
        with asked.path.open("rb") as content:
            call = files.upload(
                name,
                content,
                content_type=kind,
                expires_at=asked.expires_at,
                idempotency_key=asked.idempotency_key,
            )
            kept = client.do(call)
    except OSError as error:
        raise UsageError(f"{asked.path} can not be read: {error.strerror}.") from None
    printer.result(kept, [kept["id"]])
    return codes.SUCCEEDED


def _delete(client: Client, asked: Namespace, printer: Printer) -> int:
    client.do(files.delete(id_of(asked.id, "file"), force=asked.force))
    printer.note("delete: done.")
    return codes.SUCCEEDED


def _download(client: Client, asked: Namespace, printer: Printer) -> int:
    file = client.do(files.get(asked.id))
    # Whatever it is called, it is written here and nowhere else.
    path = asked.path or Path(PurePath(file["name"]).name or "file")
    content = client.do(files.content(file["id"]))
    try:
        with path.open("xb") as written:
            written.write(content)
    except OSError as error:
        raise UsageError(f"{path} can not be written: {error.strerror}.") from None
    printer.result(file, [f"{path}  {len(content):,} bytes"])
    return codes.SUCCEEDED
